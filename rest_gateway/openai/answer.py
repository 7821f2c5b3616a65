"""What writes an answer in an API's form; each API has its own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from openvino_server.v1 import inference_pb2

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome


class StreamWriter(ABC):
    """Writes a generation's events as server-sent events.

    Attributes:
        outcome: What the events said of the end.

    """

    outcome: Outcome

    @abstractmethod
    def write(self, message: inference_pb2.GenerateResponse) -> bytes:
        """Write what happened; perhaps nothing.

        Raises:
            ApiError: The service sent what was not asked for.

        """

    @abstractmethod
    def end(self) -> bytes:
        """Write what closes the stream, once the service has ended its own.

        Raises:
            ApiError: That was before the completions had ended.

        """

    @abstractmethod
    def fail(self, error: ApiError) -> bytes:
        """Write what closes a stream that failed."""


class BodyWriter(ABC):
    """Gathers a generation's events into one JSON body.

    Attributes:
        outcome: What the events said of the end.

    """

    outcome: Outcome

    @abstractmethod
    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """Take what happened.

        Raises:
            ApiError: The service sent what was not asked for.

        """

    @abstractmethod
    def body(self) -> bytes:
        """Write the whole, once the service has ended its stream.

        Raises:
            ApiError: That was before the completions had ended.

        """
