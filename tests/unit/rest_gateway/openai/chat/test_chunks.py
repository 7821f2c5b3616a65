import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.chat.chunks import ChunkWriter
from rest_gateway.openai.errors import ApiError


def writer(choices: int = 1, **options: bool) -> ChunkWriter:
    return ChunkWriter("chatcmpl-1", 5, 'a "model"', choices, **options)


def payloads(written: bytes) -> list[Any]:
    frames = written.removesuffix(b"\n\n").split(b"\n\n") if written else []
    texts = [frame.removeprefix(b"data: ") for frame in frames]
    return [text.decode() if text == b"[DONE]" else json.loads(text) for text in texts]


def reasoning(text: str) -> inference_pb2.GenerateResponse:
    event = inference_pb2.GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text=text))
    return inference_pb2.GenerateResponse(events=[event])


@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize("text", ["plain", 'quo"te\\', "line\r\n\u2028end", "\U0001f642", "\x00"])
def test_text_chunks_are_what_an_encoder_would_write(
    events: Any, text: str, include_usage: bool
) -> None:
    chunks = writer(include_usage=include_usage)
    chunks.write(events.started())
    written = chunks.write(events.text(text))
    assert written.count(b"\n") == 2
    assert b"\r" not in written
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
    assert payloads(written) == [expected | {"usage": None} if include_usage else expected]


def test_one_message_with_everything(events: Any) -> None:
    message = inference_pb2.GenerateResponse()
    for part in (events.started(), reasoning("hm"), events.text("a", "b"), events.finished()):
        message.MergeFrom(part)
    chunks = writer(include_usage=True)
    said = payloads(chunks.write(message))
    usage, done = payloads(chunks.end())
    deltas = [chunk["choices"][0]["delta"] for chunk in said]
    assert deltas[1:] == [{"reasoning_content": "hm"}, {"content": "a"}, {"content": "b"}, {}]
    assert said[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert done == "[DONE]"
    assert chunks.outcome.finish_reasons == {0: "stop"}


def test_what_can_not_be_written_is_an_error(events: Any) -> None:
    with pytest.raises(ApiError):
        writer().write(events.finished(inference_pb2.FINISH_REASON_UNSPECIFIED))
    for event in (text("a", 1), call("{}"), call("{}", id="c1")):
        with pytest.raises(ApiError):
            writer().write(inference_pb2.GenerateResponse(events=[event]))
    with pytest.raises(ApiError):
        writer().end()


def text(said: str, index: int = 0) -> inference_pb2.GenerateEvent:
    return inference_pb2.GenerateEvent(index=index, text=inference_pb2.TextDelta(text=said))


def call(arguments: str, index: int = 0, **first: Any) -> inference_pb2.GenerateEvent:
    delta = inference_pb2.ToolCallDelta(arguments_json_delta=arguments, **first)
    return inference_pb2.GenerateEvent(index=index, tool_call=delta)


def choices_of(written: bytes) -> list[Any]:
    return [chunk["choices"][0] for chunk in payloads(written)]


def test_each_completion_begins_with_its_role(events: Any) -> None:
    chunks = writer(2)
    opening = choices_of(chunks.write(events.started()))
    assert [(choice["index"], choice["delta"]["role"]) for choice in opening] == [
        (0, "assistant"),
        (1, "assistant"),
    ]
    message = inference_pb2.GenerateResponse(events=[text("b", 1), text("a", 0), text("c", 1)])
    said = choices_of(chunks.write(message))
    assert [(choice["index"], choice["delta"]) for choice in said] == [
        (1, {"content": "b"}),
        (0, {"content": "a"}),
        (1, {"content": "c"}),
    ]
    with pytest.raises(ApiError):
        chunks.end()


def test_calls_begin_with_id_type_and_name(events: Any) -> None:
    chunks = writer()
    chunks.write(events.started())
    message = inference_pb2.GenerateResponse(
        events=[
            call('{"a"', id="c1", name="f"),
            call(":1}"),
            call("", id="c2", name="g", call_index=1),
        ]
    )
    deltas = [choice["delta"]["tool_calls"] for choice in choices_of(chunks.write(message))]
    assert deltas == [
        [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"a"'}}],
        [{"index": 0, "function": {"arguments": ":1}"}}],
        [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}],
    ]


def test_logprobs_come_with_their_text(events: Any) -> None:
    chunks = writer()
    chunks.write(events.started())
    token = inference_pb2.TokenLogprob(token=b"\xc3", logprob=-1)
    delta = inference_pb2.TextDelta(text="", logprobs=[token])
    event = inference_pb2.GenerateEvent(text=delta)
    [choice] = choices_of(chunks.write(inference_pb2.GenerateResponse(events=[event])))
    assert choice["delta"] == {"content": ""}
    [entry] = choice["logprobs"]["content"]
    assert (entry["logprob"], entry["bytes"]) == (-1, [0xC3])
    assert choice["logprobs"]["refusal"] is None


def test_padded_chunks_have_few_sizes(events: Any) -> None:
    chunks = writer(include_usage=True, obfuscate=True)
    written = chunks.write(events.started())
    for word in ("a", "bc", "defghi"):
        written += chunks.write(events.text(word))
    written += chunks.write(events.finished())
    padded = payloads(written + chunks.end())
    assert padded.pop() == "[DONE]"
    assert all("obfuscation" in chunk for chunk in padded)
    frames = written.removesuffix(b"\n\n").split(b"\n\n")
    assert {(len(frame) - len(b"data: ")) % 32 for frame in frames} == {0}
