"""An answer as a stream of typed events.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.anthropic.blocks import NO_SIGNATURE, Block, Blocks, Ending, Piece, empty_message
from rest_gateway.anthropic.errors import error_body
from rest_gateway.openai import errors, sse
from rest_gateway.openai.answer import StreamWriter
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome

_json = msgspec.json.Encoder().encode
_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_Events = list[tuple[str, bytes]]


class EventWriter(StreamWriter):
    """Writes a completion's events as Anthropic's: the message, block by block.

    Args:
        message_id: The answer's id.
        model: The model's name as the client gave it.
        request_id: Names the request in an error.
        show_thinking: Whether blocks of thinking hold any.

    """

    def __init__(
        self, message_id: str, model: str, request_id: str, *, show_thinking: bool = True
    ) -> None:
        self.outcome = Outcome()
        self._ending = Ending(self.outcome)
        self._blocks = Blocks()
        self._id = message_id
        self._model = model
        self._request_id = request_id
        self._show_thinking = show_thinking
        self._started = False
        self._head = b""  # of the open block's deltas: what is the same in all is encoded once
        self._tail = b"}}"

    def write(self, message: inference_pb2.GenerateResponse) -> bytes:
        """See `StreamWriter`."""
        written: _Events = []
        for event in message.events:
            self._ending.check_open()
            kind = event.WhichOneof("event")
            if kind == "started":
                self.outcome.start(event.started)
                opening = empty_message(self._id, self._model, self._ending.usage())
                written.append(_event("message_start", message=opening))
                self._started = True
                continue
            if not self._started:
                raise errors.broken_stream(f"event {kind} before the first")
            if kind == "text":
                self._add(self._blocks.add_text(event.text.text), written)
            elif kind == "reasoning":
                self._add(self._blocks.add_thinking(event.reasoning.text), written)
            elif kind == "tool_call":
                self._add(self._blocks.add_call(event.tool_call), written)
            elif kind == "finished":
                self._finish(event, written)
            else:
                raise errors.broken_stream(f"event {kind}")
        return sse.named_frames(written)

    def end(self) -> bytes:
        """See `StreamWriter`."""
        self.outcome.check_complete()
        return sse.named_frames([_event("message_stop")])

    def fail(self, error: ApiError) -> bytes:
        """See `StreamWriter`."""
        return sse.named_frames([("error", error_body(error, self._request_id))])

    def _add(self, piece: Piece | None, written: _Events) -> None:
        if piece is None:
            return
        if piece.ends:
            _end_block(piece.ends, written)
        block = piece.block
        if piece.begins:
            content = block.content({} if block.kind == "tool_use" else "")
            written.append(_event("content_block_start", index=block.index, content_block=content))
            kind, key = _DELTAS[block.kind]
            self._head = b'{"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":' % (
                block.index,
                kind.encode(),
                key.encode(),
            )
        if piece.text and (self._show_thinking or block.kind != "thinking"):
            written.append(("content_block_delta", self._head + _json(piece.text) + self._tail))

    def _finish(self, event: inference_pb2.GenerateEvent, written: _Events) -> None:
        self._ending.finish(event)
        if self._blocks.last:
            _end_block(self._blocks.last, written)
        delta = {
            "stop_reason": self._ending.stop_reason,
            "stop_sequence": self._ending.stop_sequence,
            "stop_details": None,
            "container": None,
        }
        written.append(_event("message_delta", delta=delta, usage=self._ending.usage()))


def _end_block(block: Block, written: _Events) -> None:
    if block.kind == "thinking":
        signature = {"type": "signature_delta", "signature": NO_SIGNATURE}
        written.append(_event("content_block_delta", index=block.index, delta=signature))
    written.append(_event("content_block_stop", index=block.index))


def _event(name: str, **content: Any) -> tuple[str, bytes]:
    return name, _json({"type": name, **content})
