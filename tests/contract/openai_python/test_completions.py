"""Text completions by OpenAI's client; the fake engine answers a prompt with itself."""

from __future__ import annotations

from typing import Any

import openai
import pytest

TEXT = "Grüezi!"


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        (TEXT, [TEXT]),
        ([TEXT, "b"], [TEXT, "b"]),
        (list(TEXT.encode()), [TEXT]),
        ([list(b"a"), list(TEXT.encode()), list(b"c")], ["a", TEXT, "c"]),
    ],
)
@pytest.mark.parametrize("n", [1, 2])
async def test_prompts(
    gpt: openai.AsyncOpenAI, lenient: openai.AsyncOpenAI, api: Any, prompt: Any, texts: Any, n: int
) -> None:
    expected = [text for text in texts for _ in range(n)]
    answer = await gpt.completions.create(model=api.model, prompt=prompt, n=n)
    assert answer.id.startswith("cmpl-")
    assert [choice.index for choice in answer.choices] == list(range(len(expected)))
    assert [choice.text for choice in answer.choices] == expected
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(len(text.encode()) for text in texts)
    stream = await lenient.completions.create(
        model=api.model, prompt=prompt, n=n, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]
    streamed = [""] * len(expected)
    for chunk in chunks:
        [choice] = chunk.choices
        streamed[choice.index] += choice.text
    assert streamed == expected
    assert last.choices == []
    assert last.usage == answer.usage


async def test_default_length_is_short(gpt: openai.AsyncOpenAI, api: Any) -> None:
    [choice] = (await gpt.completions.create(model=api.model, prompt="x" * 50)).choices
    assert (choice.text, choice.finish_reason) == ("x" * 16, "length")


async def test_logprobs(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.completions.create(model=api.model, prompt="aüb", logprobs=0)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["a", "\ufffd", "\ufffd", "b"]
    assert logprobs.text_offset == [0, 1, 1, 2]
    assert logprobs.token_logprobs is not None
    assert all(logprob < 0 for logprob in logprobs.token_logprobs)
    assert logprobs.top_logprobs is None


async def test_model_without_a_template_completes(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.completions.create(model=api.bare, prompt="Hi")
    assert answer.choices[0].text == "Hi"


async def test_one_bad_prompt_fails_all(gpt: openai.AsyncOpenAI, api: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.completions.create(model=api.model, prompt=["a", "", "b"])
    assert caught.value.param == "prompt[1]"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"logprobs": 2}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": [99_999]}, "prompt"),
    ],
)
async def test_what_can_not_be_done_is_refused(
    gpt: openai.AsyncOpenAI, api: Any, changes: dict[str, Any], param: str
) -> None:
    asked: dict[str, Any] = {"model": api.model, "prompt": "x"}
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.completions.create(**asked | changes)
    assert caught.value.param == param
