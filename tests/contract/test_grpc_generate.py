from __future__ import annotations

from typing import Any

import grpc
import pytest
from openvino_server.v1 import chat_pb2, inference_pb2, models_pb2

STOP, LENGTH = inference_pb2.FINISH_REASON_STOP, inference_pb2.FINISH_REASON_LENGTH
PROMPT = "user: {}\nassistant:"


def message(role: Any, *texts: str) -> chat_pb2.ChatMessage:
    parts = [chat_pb2.ContentPart(text=text) for text in texts]
    return chat_pb2.ChatMessage(role=role, content=parts)


@pytest.mark.parametrize("text", ["Hello", "né 😀 中文", "line\nline", "<|im_end|>", "x" * 400])
async def test_answer_is_exact(client: Any, text: str) -> None:
    answer = await client.answer(text)
    assert answer.text == text
    prompt_tokens = len(PROMPT.format(text).encode())
    kinds = [event.WhichOneof("event") for event in answer.events]
    assert kinds == ["started", *["text"] * (len(kinds) - 2), "finished"]
    assert answer.events[0].started.prompt_tokens == prompt_tokens
    assert answer.events[0].started.HasField("cached_tokens")
    finished = answer.finished
    assert (finished.reason, finished.HasField("matched_stop")) == (STOP, False)
    assert finished.usage.prompt_tokens == prompt_tokens
    assert finished.usage.completion_tokens == len(text.encode()) + 1  # and the end of sequence
    assert all(response.events for response in answer.responses)


async def test_conversation_is_rendered_by_the_template(client: Any) -> None:
    conversation = [
        message(chat_pb2.ROLE_DEVELOPER, "Be brief."),
        message(chat_pb2.ROLE_USER, "one"),
        message(chat_pb2.ROLE_ASSISTANT, "two"),
        message(chat_pb2.ROLE_USER, "three", "four"),
    ]
    rendered = "system: Be brief.\nuser: one\nassistant: two\nuser: three\nfour\nassistant:"
    answer = await client.answer(conversation)
    assert answer.text == "three\nfour"
    assert answer.finished.usage.prompt_tokens == len(rendered)
    tokens = await client.inference.Tokenize(
        inference_pb2.TokenizeRequest(model="echo", chat=chat_pb2.ChatInput(messages=conversation))
    )
    assert bytes(tokens.token_ids).decode() == rendered


async def test_template_writes_the_special_tokens(client: Any, refusal: Any) -> None:
    chat = chat_pb2.ChatInput(messages=[{"role": chat_pb2.ROLE_USER, "content": [{"text": "Hi"}]}])
    special: dict[str, Any] = {"model": "echo", "chat": chat, "add_special_tokens": True}
    expected = (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        {"field": "add_special_tokens"},
    )
    tokenize = client.inference.Tokenize(inference_pb2.TokenizeRequest(**special))
    assert await refusal(tokenize) == expected
    generate = client.inference.Generate(inference_pb2.GenerateRequest(**special))
    assert await refusal(generate) == expected


@pytest.mark.parametrize("model", ["echo", "bare"])
async def test_prompts_and_tokens_are_taken_as_they_are(client: Any, model: str) -> None:
    for given_as in (
        {"prompt": "as it is"},
        {"token_ids": inference_pb2.TokenIds(ids=b"as it is")},
    ):
        request = inference_pb2.GenerateRequest(model=model, **given_as)
        responses = [response async for response in client.inference.Generate(request)]
        events = [event for response in responses for event in response.events]
        assert "".join(event.text.text for event in events) == "as it is"
        assert events[0].started.prompt_tokens == 8


@pytest.mark.parametrize(
    ("stops", "text", "matched"),
    [
        (["four"], "one two three ", "four"),
        (["three", "two"], "one ", "two"),
        (["e tw", "two"], "on", "e tw"),
        (["three four five!"], "one two three four five", None),
        (["nothing"], "one two three four five", None),
    ],
)
async def test_stop_texts(client: Any, stops: list[str], text: str, matched: str | None) -> None:
    answer = await client.answer("one two three four five", stop=stops)
    assert answer.text == text
    assert answer.finished.reason == STOP
    if matched is None:
        assert not answer.finished.HasField("matched_stop")
        return
    assert answer.finished.matched_stop == matched
    assert answer.finished.usage.completion_tokens == len(text + matched)


async def test_max_tokens(client: Any) -> None:
    answer = await client.answer("one two three", max_tokens=5)
    assert answer.text == "one t"
    assert answer.finished.reason == LENGTH
    assert answer.finished.usage.completion_tokens == 5


async def test_character_that_max_tokens_cuts_off_is_left_out(client: Any) -> None:
    answer = await client.answer("a😀", max_tokens=3)
    assert answer.text == "a"
    assert answer.finished.usage.completion_tokens == 3


async def test_context_may_be_filled_to_its_end(client: Any) -> None:
    prompt_tokens = len(PROMPT.format("abc"))
    answer = await client.answer("abc", max_tokens=1000 - prompt_tokens, ignore_eos=True)
    assert answer.finished.usage.completion_tokens == 1000 - prompt_tokens
    assert answer.finished.reason == LENGTH
    assert answer.text == ("abc" * 1000)[: 1000 - prompt_tokens]


async def test_ignore_eos_goes_on(client: Any) -> None:
    answer = await client.answer("ab", ignore_eos=True, max_tokens=7)
    assert answer.text == "abababa"


async def test_all_sampling_is_taken(client: Any) -> None:
    answer = await client.answer(
        "x",
        temperature=0.0,
        top_p=1.0,
        top_k=1,
        min_p=0.0,
        seed=0,
        presence_penalty=-2.0,
        frequency_penalty=2.0,
        repetition_penalty=2.0,
        min_tokens=0,
        max_tokens=100,
    )
    assert answer.text == "x"


async def test_slow_step_comes_as_a_message_of_its_own(client: Any) -> None:
    answer = await client.answer("abc", "slow")
    assert [[event.WhichOneof("event") for event in r.events] for r in answer.responses] == [
        ["started", "text"],
        ["text"],
        ["text"],
        ["finished"],
    ]


@pytest.mark.parametrize("text", ["", "né 😀", "user: x\n"])
async def test_text_to_tokens_and_back(client: Any, text: str) -> None:
    tokens = await client.inference.Tokenize(inference_pb2.TokenizeRequest(model="echo", text=text))
    assert bytes(tokens.token_ids).decode() == text
    assert tokens.context_length == 1000
    back = await client.inference.Detokenize(
        inference_pb2.DetokenizeRequest(model="echo", token_ids=tokens.token_ids)
    )
    assert back.text == text


async def test_special_tokens_are_shown_unless_skipped(client: Any) -> None:
    request = inference_pb2.DetokenizeRequest(model="echo", token_ids=[97, 256])
    assert (await client.inference.Detokenize(request)).text == "a<end>"
    request.skip_special_tokens = True
    assert (await client.inference.Detokenize(request)).text == "a"


async def test_models_are_listed_in_every_state(client: Any) -> None:
    listed = (await client.models.ListModels(models_pb2.ListModelsRequest())).models
    assert {model.name: models_pb2.ModelState.Name(model.state) for model in listed} == {
        "bare": "MODEL_STATE_READY",
        "broken": "MODEL_STATE_FAILED",
        "echo": "MODEL_STATE_READY",
        "slow": "MODEL_STATE_READY",
        "unloaded": "MODEL_STATE_UNLOADED",
    }
    assert [model.name for model in listed] == sorted(model.name for model in listed)
    for model in listed:
        request = models_pb2.GetModelRequest(name=model.name)
        assert (await client.models.GetModel(request)).model == model
        assert model.HasField("failure") == (model.name == "broken")
        assert model.create_time.seconds > 0
    assert "no_such_setting" in listed[1].failure
    assert listed[0].context_length == 32


async def test_request_id_comes_back(client: Any) -> None:
    call = client.models.ListModels(
        models_pb2.ListModelsRequest(), metadata=(("x-request-id", "mine-1"),)
    )
    assert dict(await call.initial_metadata())["x-request-id"] == "mine-1"
    await call
