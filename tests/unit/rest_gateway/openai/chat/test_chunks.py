import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.chat.chunks import ChunkWriter
from rest_gateway.openai.errors import ApiError


def writer(*, include_usage: bool = False) -> ChunkWriter:
    return ChunkWriter("chatcmpl-1", 5, 'a "model"', include_usage=include_usage)


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
    with pytest.raises(ApiError):
        writer().end()
