"""A chat completion as one object."""

from __future__ import annotations

from typing import Any

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.answer import BodyWriter
from rest_gateway.openai.outcome import Outcome

_json = msgspec.json.Encoder().encode


class CompletionWriter(BodyWriter):
    """Gathers a completion's events into one `chat.completion` object.

    Args:
        completion_id: The answer's id.
        created: When it began, in seconds since 1970.
        model: The model's name as the client gave it.

    """

    def __init__(self, completion_id: str, created: int, model: str) -> None:
        self.outcome = Outcome()
        self._id = completion_id
        self._created = created
        self._model = model
        self._texts: list[str] = []
        self._reasoning: list[str] = []

    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """See `BodyWriter`."""
        for event in message.events:
            kind = event.WhichOneof("event")
            if kind == "text":
                self._texts.append(event.text.text)
            elif kind == "reasoning":
                self._reasoning.append(event.reasoning.text)
            elif kind == "finished":
                self.outcome.finish(event.index, event.finished)
            elif kind == "started":
                self.outcome.start(event.started)
            else:
                raise errors.broken_stream(f"event {kind}")

    def body(self) -> bytes:
        """See `BodyWriter`."""
        self.outcome.check_complete()
        answer: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._texts),
            "refusal": None,
        }
        if self._reasoning:
            answer["reasoning_content"] = "".join(self._reasoning)
        choice = {
            "index": 0,
            "message": answer,
            "logprobs": None,
            "finish_reason": self.outcome.finish_reasons[0],
        }
        return _json(
            {
                "id": self._id,
                "object": "chat.completion",
                "created": self._created,
                "model": self._model,
                "choices": [choice],
                "usage": self.outcome.usage(),
                "service_tier": "default",
                "system_fingerprint": None,
            }
        )
