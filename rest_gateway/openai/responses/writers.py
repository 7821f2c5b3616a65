"""A response as a stream of typed events, or as one object."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import sse
from rest_gateway.openai.answer import BodyWriter, StreamWriter
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.lifecycle import Lifecycle
from rest_gateway.openai.responses.output import Event
from rest_gateway.openai.streaming import obfuscated

_json = msgspec.json.Encoder().encode


class EventWriter(StreamWriter):
    """Writes each step of a response as an event, numbered from 0. The last is no `[DONE]`.

    Args:
        lifecycle: The response.
        obfuscate: Whether deltas are padded, so that their sizes don't tell of their texts.

    """

    def __init__(self, lifecycle: Lifecycle, *, obfuscate: bool = False) -> None:
        self.outcome = lifecycle.outcome
        self._lifecycle = lifecycle
        self._obfuscate = obfuscate
        self._sequence_number = 0

    def write(self, message: inference_pb2.GenerateResponse) -> bytes:
        """See `StreamWriter`."""
        return self._frames(self._lifecycle.take(message))

    def end(self) -> bytes:
        """See `StreamWriter`."""
        return self._frames(self._lifecycle.end())

    def fail(self, error: ApiError) -> bytes:
        """See `StreamWriter`."""
        return self._frames(self._lifecycle.fail(error))

    def _frames(self, events: Iterable[Event]) -> bytes:
        numbered = []
        for name, fields in events:
            event = {"type": name, "sequence_number": self._sequence_number, **fields}
            payload = _json(event)
            if self._obfuscate and name.endswith(".delta"):
                payload = obfuscated(payload)
            numbered.append((name, payload))
            self._sequence_number += 1
        return sse.named_frames(numbered)


class ResponseWriter(BodyWriter):
    """Gathers a response into one object."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.outcome = lifecycle.outcome
        self._lifecycle = lifecycle

    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """See `BodyWriter`."""
        self._lifecycle.take(message)

    def body(self) -> bytes:
        """See `BodyWriter`."""
        self._lifecycle.end()
        return _json(self._lifecycle.written())
