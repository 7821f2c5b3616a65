import json
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2, inference_pb2, models_pb2

from rest_gateway.openai.chat.schema import ChatCompletionRequest
from rest_gateway.openai.chat.translate import (
    ChunkWriter,
    CompletionBuilder,
    model_to_openai,
    request_to_proto,
    state_of,
)
from rest_gateway.openai.errors import ApiError


def translated(**fields: Any) -> inference_pb2.GenerateRequest:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | fields
    return request_to_proto(ChatCompletionRequest.model_validate(fields))


def writer(*, include_usage: bool = False) -> ChunkWriter:
    return ChunkWriter("chatcmpl-1", 5, 'a "model"', include_usage=include_usage)


def reasoning(text: str) -> inference_pb2.GenerateResponse:
    event = inference_pb2.GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text=text))
    return inference_pb2.GenerateResponse(events=[event])


def tool_call() -> inference_pb2.GenerateResponse:
    event = inference_pb2.GenerateEvent(tool_call=inference_pb2.ToolCallDelta(call_index=0))
    return inference_pb2.GenerateResponse(events=[event])


def test_what_is_not_given_stays_unset() -> None:
    assert translated().sampling == inference_pb2.SamplingParams()


def test_zero_is_a_value() -> None:
    sampling = translated(temperature=0, seed=0, presence_penalty=0, frequency_penalty=0).sampling
    names = {"temperature", "seed", "presence_penalty", "frequency_penalty"}
    assert {field.name for field, _ in sampling.ListFields()} == names


def test_sampling() -> None:
    sampling = translated(
        temperature=0.5,
        top_p=0.25,
        presence_penalty=1,
        frequency_penalty=-1,
        max_tokens=9,
        stop=["a", "b"],
        seed=7,
        top_k=40,
        min_p=0.125,
        repetition_penalty=1.5,
        min_tokens=2,
        ignore_eos=True,
    ).sampling
    assert sampling == inference_pb2.SamplingParams(
        temperature=0.5,
        top_p=0.25,
        presence_penalty=1,
        frequency_penalty=-1,
        max_tokens=9,
        stop=["a", "b"],
        seed=7,
        top_k=40,
        min_p=0.125,
        repetition_penalty=1.5,
        min_tokens=2,
        ignore_eos=True,
    )
    assert translated(max_completion_tokens=3).sampling.max_tokens == 3


@pytest.mark.parametrize("every", [0, -1, None])
def test_all_tokens_is_the_default(every: int | None) -> None:
    assert not translated(top_k=every).sampling.HasField("top_k")


def test_unknown_is_not_zero(events: Any) -> None:
    finished = events.finished()
    used = finished.events[0].finished.usage
    for cached, details in ((0, {"cached_tokens": 0}), (None, None)):
        used.ClearField("cached_tokens")
        if cached is not None:
            used.cached_tokens = cached
        whole = CompletionBuilder()
        whole.add(finished)
        assert whole.outcome is not None
        assert whole.outcome.usage_to_openai()["prompt_tokens_details"] == details


@pytest.mark.parametrize(
    ("seed", "kept"), [(-1, 2**32 - 1), (2**32, 0), (-(2**63), 0), (2**63 - 1, 2**32 - 1)]
)
def test_seed_keeps_its_low_bits(seed: int, kept: int) -> None:
    assert translated(seed=seed).sampling.seed == kept


def test_prompt_is_one_message_of_the_user() -> None:
    assert translated(messages=None, prompt="Hi") == translated()


def test_messages() -> None:
    request = translated(
        messages=[
            {"role": "developer", "content": "d"},
            {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"], "name": "A"},
        ]
    )
    part, message = chat_pb2.ContentPart, chat_pb2.ChatMessage
    assert list(request.chat.messages) == [
        message(role=chat_pb2.ROLE_DEVELOPER, content=[part(text="d")]),
        message(role=chat_pb2.ROLE_USER, content=[part(text="a"), part(text="b")], name="A"),
    ]


@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize("text", ["plain", 'quo"te\\', "line\r\n\u2028end", "\U0001f642", "\x00"])
def test_text_chunks_are_what_an_encoder_would_write(
    events: Any, text: str, include_usage: bool
) -> None:
    chunks = writer(include_usage=include_usage)
    chunks.chunks(events.started())
    [chunk] = chunks.chunks(events.text(text))
    assert b"\n" not in chunk
    assert b"\r" not in chunk
    expected = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": 'a "model"',
        "service_tier": "default",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "delta": {"content": text},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert json.loads(chunk) == (expected | {"usage": None} if include_usage else expected)


def test_one_message_with_everything(events: Any) -> None:
    message = inference_pb2.GenerateResponse()
    for part in (events.started(), reasoning("hm"), events.text("a", "b"), events.finished()):
        message.MergeFrom(part)
    chunks = writer(include_usage=True)
    *said, usage = [json.loads(chunk) for chunk in chunks.chunks(message)]
    deltas = [chunk["choices"][0]["delta"] for chunk in said]
    assert deltas[1:] == [{"reasoning_content": "hm"}, {"content": "a"}, {"content": "b"}, {}]
    assert said[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert chunks.outcome is not None
    assert chunks.outcome.finish_reason == "stop"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (inference_pb2.FINISH_REASON_STOP, "stop"),
        (inference_pb2.FINISH_REASON_LENGTH, "length"),
        (inference_pb2.FINISH_REASON_TOOL_CALLS, "tool_calls"),
    ],
)
def test_finish_reasons(events: Any, reason: Any, said: str) -> None:
    whole = CompletionBuilder()
    whole.add(events.finished(reason))
    assert whole.outcome is not None
    assert whole.outcome.finish_reason == said


def test_whole_answer_keeps_reasoning_apart(events: Any) -> None:
    whole = CompletionBuilder()
    for message in (events.started(), reasoning("hm"), events.text("a"), events.finished()):
        whole.add(message)
    said = json.loads(whole.completion("chatcmpl-1", 5, "m"))["choices"][0]["message"]
    assert (said["content"], said["reasoning_content"]) == ("a", "hm")


def test_what_was_not_asked_for_is_an_error(events: Any) -> None:
    unknown = events.finished(inference_pb2.FINISH_REASON_UNSPECIFIED)
    for message in (tool_call(), unknown):
        with pytest.raises(ApiError):
            writer().chunks(message)
        with pytest.raises(ApiError):
            CompletionBuilder().add(message)
    with pytest.raises(ApiError):
        CompletionBuilder().completion("chatcmpl-1", 5, "m")


def test_model() -> None:
    model = models_pb2.Model(name="a/b", state=models_pb2.MODEL_STATE_LOADING)
    model.create_time.FromSeconds(1_700_000_000)
    assert model_to_openai(model) == {
        "id": "a/b",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "openvino-server",
    }
    assert state_of(model) == "loading"
