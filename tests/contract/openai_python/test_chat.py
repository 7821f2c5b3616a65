"""Chat completions by OpenAI's client; the fake engine says what the user says."""

from __future__ import annotations

import json
import math
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

TEXT = "Grüezi, 世界! \U0001f642"


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def chunks_of(stream: Any) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in stream]


async def test_whole(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.chat.completions.create(model=api.model, messages=user(TEXT))
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == (TEXT, "stop")
    assert choice.message.tool_calls is None
    usage = answer.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 0


async def test_headers(gpt: openai.AsyncOpenAI, api: Any) -> None:
    raw = await gpt.chat.completions.with_raw_response.create(
        model=api.model, messages=user("Hi"), extra_headers={"x-request-id": "mine"}
    )
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-processing-ms"].isdecimal()
    assert raw.parse()._request_id == raw.headers["x-request-id"] == "mine"


async def test_stream(gpt: openai.AsyncOpenAI, api: Any) -> None:
    stream = await gpt.chat.completions.create(
        model=api.model,
        messages=user(TEXT),
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": True},
    )
    *chunks, last = await chunks_of(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.obfuscation is not None for chunk in [*chunks, last])
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > len(TEXT)
    assert len({chunk.id for chunk in [*chunks, last]}) == 1


async def test_several(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.chat.completions.create(model=api.model, messages=user(TEXT), n=3)
    said = [(choice.index, choice.message.content) for choice in answer.choices]
    assert said == [(index, TEXT) for index in range(3)]
    stream = await gpt.chat.completions.create(
        model=api.model, messages=user(TEXT), n=3, stream=True
    )
    texts, ends = [""] * 3, [""] * 3
    for chunk in await chunks_of(stream):
        [choice] = chunk.choices
        assert not ends[choice.index]
        texts[choice.index] += choice.delta.content or ""
        ends[choice.index] = choice.finish_reason or ""
    assert (texts, ends) == ([TEXT] * 3, ["stop"] * 3)


async def test_logprobs_are_of_each_token(gpt: openai.AsyncOpenAI, api: Any) -> None:
    asked: dict[str, Any] = {"model": api.model, "messages": user(TEXT), "logprobs": True}
    [choice] = (await gpt.chat.completions.create(**asked)).choices
    assert choice.logprobs is not None
    whole = choice.logprobs.content
    stream = await gpt.chat.completions.create(**asked, stream=True)
    streamed = [
        token
        for chunk in await chunks_of(stream)
        if (logprobs := chunk.choices[0].logprobs)
        for token in logprobs.content or ()
    ]
    for tokens in (whole, streamed):
        assert tokens is not None
        assert b"".join(bytes(token.bytes or ()) for token in tokens).decode() == TEXT
        assert all(token.logprob < 0 and not math.isinf(token.logprob) for token in tokens)


async def test_length_and_stop(gpt: openai.AsyncOpenAI, api: Any) -> None:
    short = await gpt.chat.completions.create(
        model=api.model, messages=user("abcdef"), max_completion_tokens=3
    )
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("abc", "length")
    stopped = await gpt.chat.completions.create(
        model=api.model, messages=user("abcdef"), stop=["x", "de"]
    )
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("abc", "stop")


async def test_reasoning_is_kept_apart(gpt: openai.AsyncOpenAI, api: Any) -> None:
    asked: dict[str, Any] = {
        "model": api.thinker,
        "messages": user("<think>hm</think>so"),
    }
    answer = await gpt.chat.completions.create(**asked)
    message = answer.choices[0].message
    assert (message.content, message.model_extra) == ("so", {"reasoning_content": "hm"})
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens
    stream = await gpt.chat.completions.create(**asked, stream=True)
    deltas = [chunk.choices[0].delta for chunk in await chunks_of(stream)]
    reasoning = "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas)
    assert (reasoning, "".join(delta.content or "" for delta in deltas)) == ("hm", "so")
    # What was answered can be sent again as it is.
    history = [*asked["messages"], message.model_dump(), *user("again")]
    again = await gpt.chat.completions.create(model=api.thinker, messages=history)
    assert again.choices[0].message.content == "again"


async def test_vllm_names_reach_the_service(gpt: openai.AsyncOpenAI, api: Any) -> None:
    extra = {
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "structured_outputs": {"choice": ["yes", "no"]},
        "chat_template_kwargs": {"enable_thinking": False},
    }
    answer = await gpt.chat.completions.create(
        model=api.model, messages=user("yes"), extra_body=extra
    )
    assert answer.choices[0].message.content == "yes"
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.chat.completions.create(
            model=api.model,
            messages=user("yes"),
            extra_body={"structured_outputs": {"json": {"type": 5}}},
        )
    assert caught.value.param == "structured_outputs.json"


async def test_models(gpt: openai.AsyncOpenAI, api: Any) -> None:
    models = [model async for model in gpt.models.list()]
    assert api.model in {model.id for model in models}
    assert (await gpt.models.retrieve(api.model)).owned_by == "openvino-server"


async def test_tokens_there_and_back(gpt: openai.AsyncOpenAI, api: Any) -> None:
    tokens = await gpt.post("/tokenize", cast_to=object, body={"model": api.model, "prompt": TEXT})
    assert isinstance(tokens, dict)
    assert tokens["count"] == len(tokens["tokens"]) == len(TEXT.encode())
    text = await gpt.post(
        "/detokenize", cast_to=object, body={"model": api.model, "tokens": tokens["tokens"]}
    )
    assert text == {"prompt": TEXT, "content": TEXT}
    chat = await gpt.post(
        "/tokenize", cast_to=object, body={"model": api.model, "messages": user(TEXT)}
    )
    assert isinstance(chat, dict)
    answer = await gpt.chat.completions.create(model=api.model, messages=user(TEXT))
    assert answer.usage is not None
    assert chat["count"] == answer.usage.prompt_tokens, json.dumps(chat)
