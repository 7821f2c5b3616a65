"""An answer as one object."""

from __future__ import annotations

import json
from typing import Any

from openvino_server.v1 import inference_pb2
from pydantic_core import from_json, to_json

from rest_gateway.anthropic.blocks import Block, Blocks, Ending, Piece, empty_message
from rest_gateway.openai import errors
from rest_gateway.openai.answer import BodyWriter
from rest_gateway.openai.outcome import Outcome


class MessageWriter(BodyWriter):
    """Gathers a completion's events into one message.

    Args:
        message_id: The answer's id.
        model: The model's name as the client gave it.
        show_thinking: Whether blocks of thinking hold any.

    """

    def __init__(self, message_id: str, model: str, *, show_thinking: bool = True) -> None:
        self.outcome = Outcome()
        self._ending = Ending(self.outcome)
        self._blocks = Blocks()
        self._id = message_id
        self._model = model
        self._show_thinking = show_thinking
        self._pieces: list[tuple[Block, list[str]]] = []

    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """See `BodyWriter`."""
        for event in message.events:
            self._ending.check_open()
            kind = event.WhichOneof("event")
            if kind == "text":
                self._add(self._blocks.add_text(event.text.text))
            elif kind == "reasoning":
                self._add(self._blocks.add_thinking(event.reasoning.text))
            elif kind == "tool_call":
                self._add(self._blocks.add_call(event.tool_call))
            elif kind == "finished":
                self._ending.finish(event)
            elif kind == "started":
                self.outcome.start(event.started)
            else:
                raise errors.broken_stream(f"event {kind}")

    def body(self) -> bytes:
        """See `BodyWriter`."""
        self.outcome.check_complete()
        answer = empty_message(self._id, self._model, self._ending.usage())
        answer["content"] = [
            block.content(self._content(block, "".join(texts))) for block, texts in self._pieces
        ]
        answer["stop_reason"] = self._ending.stop_reason
        answer["stop_sequence"] = self._ending.stop_sequence
        return to_json(answer)

    def _add(self, piece: Piece | None) -> None:
        if piece is None:
            return
        if piece.begins:
            self._pieces.append((piece.block, []))
        self._pieces[-1][1].append(piece.text)

    def _content(self, block: Block, text: str) -> Any:
        if block.kind == "thinking":
            return text if self._show_thinking else ""
        if block.kind == "text":
            return text
        if not text.strip():
            return {}
        # `max_tokens` may cut an input off: what is whole of it is given, as SDKs do for streams.
        try:
            arguments = from_json(
                text,
                allow_partial=self._ending.stop_reason == "max_tokens",
                allow_inf_nan=False,
            )
            # 1e999 is JSON and becomes infinite, which isn't: it can't be written again.
            json.dumps(arguments, allow_nan=False)
        except ValueError:
            arguments = None
        # Without a grammar a model writes what it likes. Anthropic's own form for that:
        # https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
        return arguments if isinstance(arguments, dict) else {"INVALID_JSON": text}
