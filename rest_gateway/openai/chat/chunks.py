"""A chat completion as a stream of chunks."""

from __future__ import annotations

from typing import Any

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors, sse
from rest_gateway.openai.answer import StreamWriter
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome

_json = msgspec.json.Encoder().encode


class ChunkWriter(StreamWriter):
    """Writes a completion's events as `chat.completion.chunk` objects.

    What is the same in all chunks of a completion is encoded once: this runs for each message of
    each stream.

    Args:
        completion_id: The answer's id.
        created: When it began, in seconds since 1970.
        model: The model's name as the client gave it.
        include_usage: Whether a last chunk tells the tokens used.

    """

    def __init__(
        self, completion_id: str, created: int, model: str, *, include_usage: bool
    ) -> None:
        self.outcome = Outcome()
        self._opened = False
        self._include_usage = include_usage
        shared = {
            "id": completion_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": None,
        }
        self._shared = _json(shared)[:-1]
        self._head = self._shared + b',"choices":[{"index":0,"delta":'
        usage = b',"usage":null' if include_usage else b""
        self._tail = b"}]" + usage + b"}"
        self._text_head = self._head + b'{"content":'
        self._text_tail = b'},"logprobs":null,"finish_reason":null' + self._tail

    def write(self, message: inference_pb2.GenerateResponse) -> bytes:
        """See `StreamWriter`."""
        written: list[bytes] = []
        for event in message.events:
            kind = event.WhichOneof("event")
            if not self._opened:
                self._opened = True
                delta = {"role": "assistant", "content": "", "refusal": None}
                written.append(self._chunk(delta, None))
            if kind == "text":
                written.append(self._text_head + _json(event.text.text) + self._text_tail)
            elif kind == "reasoning":
                written.append(self._chunk({"reasoning_content": event.reasoning.text}, None))
            elif kind == "finished":
                written.append(self._chunk({}, self.outcome.finish(event.index, event.finished)))
            elif kind == "started":
                self.outcome.start(event.started)
            else:
                raise errors.broken_stream(f"event {kind}")
        return sse.frames(written) if written else b""

    def end(self) -> bytes:
        """See `StreamWriter`."""
        self.outcome.check_complete()
        if not self._include_usage:
            return sse.DONE
        usage = _json(self.outcome.usage())
        return sse.frames([self._shared + b',"choices":[],"usage":' + usage + b"}"]) + sse.DONE

    def fail(self, error: ApiError) -> bytes:
        """See `StreamWriter`."""
        return sse.frames([error.body()])

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        end = b',"logprobs":null,"finish_reason":' + _json(finish_reason)
        return self._head + _json(delta) + end + self._tail
