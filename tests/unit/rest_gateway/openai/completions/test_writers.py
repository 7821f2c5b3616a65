import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.completions.writers import TextChunkWriter, TextWriter
from rest_gateway.openai.errors import ApiError

TOKEN = inference_pb2.TokenLogprob(token=b"ab", logprob=-1)
LOGPROBS = {"tokens": ["ab"], "token_logprobs": [-1], "text_offset": [0], "top_logprobs": None}


def text(said: str, index: int = 0, *tokens: Any) -> inference_pb2.GenerateResponse:
    delta = inference_pb2.TextDelta(text=said, logprobs=tokens)
    event = inference_pb2.GenerateEvent(index=index, text=delta)
    return inference_pb2.GenerateResponse(events=[event])


def reasoning() -> inference_pb2.GenerateResponse:
    event = inference_pb2.GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text="hm"))
    return inference_pb2.GenerateResponse(events=[event])


def finished(events: Any, index: int) -> inference_pb2.GenerateResponse:
    message: inference_pb2.GenerateResponse = events.finished()
    message.events[0].index = index
    return message


def payloads(written: bytes) -> list[Any]:
    frames = written.removesuffix(b"\n\n").split(b"\n\n") if written else []
    texts = [frame.removeprefix(b"data: ") for frame in frames]
    return [said.decode() if said == b"[DONE]" else json.loads(said) for said in texts]


@pytest.mark.parametrize("include_usage", [False, True])
def test_chunks(events: Any, include_usage: bool) -> None:
    writer = TextChunkWriter("cmpl-1", 5, 'a "b"', 2, include_usage=include_usage)
    assert writer.write(events.started()) == b""
    usage = {"usage": None} if include_usage else {}

    def chunk(index: int, said: str, reason: str | None = None, logprobs: Any = None) -> Any:
        choice = {"index": index, "text": said, "logprobs": logprobs, "finish_reason": reason}
        return {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 5,
            "model": 'a "b"',
            "system_fingerprint": None,
            "choices": [choice],
        } | usage

    assert payloads(writer.write(text('"ü\n', 1))) == [chunk(1, '"ü\n')]
    assert payloads(writer.write(text("ab", 0, TOKEN))) == [chunk(0, "ab", logprobs=LOGPROBS)]
    assert payloads(writer.write(finished(events, 0))) == [chunk(0, "", "stop")]
    with pytest.raises(ApiError):
        writer.end()
    writer.write(finished(events, 1))
    *last, done = payloads(writer.end())
    assert done == "[DONE]"
    assert [(end["choices"], end["usage"]["total_tokens"]) for end in last] == (
        [([], 13)] if include_usage else []
    )


def test_padded_chunks(events: Any) -> None:
    writer = TextChunkWriter("cmpl-1", 5, "m", obfuscate=True)
    [chunk] = payloads(writer.write(text("a")))
    assert "obfuscation" in chunk


@pytest.mark.parametrize("logprobs", [False, True])
def test_whole(events: Any, logprobs: bool) -> None:
    writer = TextWriter("cmpl-1", 5, "m", 2, logprobs=logprobs)
    writer.add(events.started())
    writer.add(text("b", 1))
    writer.add(text("ab", 0, TOKEN))
    writer.add(finished(events, 1))
    with pytest.raises(ApiError):
        writer.body()
    writer.add(finished(events, 0))
    answer = json.loads(writer.body())
    none = {"tokens": [], "token_logprobs": [], "text_offset": [], "top_logprobs": None}
    assert answer.pop("usage")["completion_tokens"] == 6
    assert answer == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 5,
        "model": "m",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "text": "ab",
                "logprobs": LOGPROBS if logprobs else None,
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "text": "b",
                "logprobs": none if logprobs else None,
                "finish_reason": "stop",
            },
        ],
    }


def test_what_was_not_asked_for_is_an_error() -> None:
    for message in (text("a", 1), reasoning()):
        with pytest.raises(ApiError):
            TextChunkWriter("cmpl-1", 5, "m").write(message)
        with pytest.raises(ApiError):
            TextWriter("cmpl-1", 5, "m").add(message)
