"""A chat completion as a stream of chunks."""

from __future__ import annotations

from typing import Any

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.chunk_stream import ChunkStream
from rest_gateway.openai.logprobs import token_logprobs

_json = msgspec.json.Encoder().encode


class ChunkWriter(ChunkStream):
    """Writes completions' events as `chat.completion.chunk` objects.

    Args:
        completion_id: The answer's id.
        created: When it began, in seconds since 1970.
        model: The model's name as the client gave it.
        choices: How many completions there are.
        include_usage: Whether a last chunk tells the tokens used.
        obfuscate: Whether chunks are padded, so that their sizes don't tell of their texts.

    """

    def __init__(
        self,
        completion_id: str,
        created: int,
        model: str,
        choices: int = 1,
        *,
        include_usage: bool = False,
        obfuscate: bool = False,
    ) -> None:
        shared = {
            "id": completion_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": None,
        }
        super().__init__(shared, "delta", choices, include_usage=include_usage, obfuscate=obfuscate)
        self._opened = False
        self._calls: set[tuple[int, int]] = set()
        self._text_heads = [head + b'{"content":' for head in self._heads]
        self._text_tail = b'},"logprobs":null,"finish_reason":null' + self._tail

    def write(self, message: inference_pb2.GenerateResponse) -> bytes:
        """See `StreamWriter`."""
        written: list[bytes] = []
        if not self._opened:
            self._opened = True
            opening = {"role": "assistant", "content": "", "refusal": None}
            written += [self._chunk(index, opening) for index in range(len(self._heads))]
        for event in message.events:
            kind = event.WhichOneof("event")
            index = event.index
            if index >= len(self._heads):
                raise errors.broken_stream(f"completion {index}")
            if kind == "text":
                delta = event.text
                if delta.logprobs:
                    logprobs = {"content": token_logprobs(delta.logprobs), "refusal": None}
                    written.append(self._chunk(index, {"content": delta.text}, logprobs=logprobs))
                else:
                    written.append(self._text_heads[index] + _json(delta.text) + self._text_tail)
            elif kind == "reasoning":
                if event.reasoning.text:
                    written.append(self._chunk(index, {"reasoning_content": event.reasoning.text}))
            elif kind == "tool_call":
                written += [
                    self._chunk(index, {"tool_calls": [piece]})
                    for piece in self._pieces(index, event.tool_call)
                ]
            elif kind == "finished":
                reason = self.outcome.finish(index, event.finished)
                written.append(self._chunk(index, {}, finish_reason=reason))
            elif kind == "started":
                self.outcome.start(event.started)
            else:
                raise errors.broken_stream(f"event {kind}")
        return self._frames(written)

    def _pieces(self, index: int, delta: inference_pb2.ToolCallDelta) -> list[dict[str, Any]]:
        """Write a piece of a call: the first alone with its name, as clients expect."""
        pieces: list[dict[str, Any]] = []
        call = (index, delta.call_index)
        if call not in self._calls:
            if not delta.id or not delta.name:
                raise errors.broken_stream("a call without id or name")
            self._calls.add(call)
            function = {"name": delta.name, "arguments": ""}
            first = {"id": delta.id, "type": "function", "function": function}
            pieces.append({"index": delta.call_index} | first)
        if delta.arguments_json_delta:
            function = {"arguments": delta.arguments_json_delta}
            pieces.append({"index": delta.call_index, "function": function})
        return pieces

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> bytes:
        end = b',"logprobs":' + _json(logprobs) + b',"finish_reason":' + _json(finish_reason)
        return self._heads[index] + _json(delta) + end + self._tail
