"""A response from its first event to its last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome
from rest_gateway.openai.responses.output import Event, Output
from rest_gateway.openai.responses.response import ResponseForm

# Keeps a response that has ended; says whether it could.
Keep = Callable[[dict[str, Any]], bool]


class Lifecycle:
    """Makes a response of a generation's events, and tells each step of it.

    The steps are OpenAI's: created, in progress, then for each item added, its deltas and done, and
    at last one of completed, incomplete and failed.

    Args:
        form: What is the same in all of the response.
        output: Makes the items.
        keep: Keeps the response when it has ended; None if it is not to be kept.
        status: `in_progress`, or `queued` for a response that its client doesn't wait for.

    Attributes:
        outcome: What the events said of the end.
        status: As OpenAI names it.

    """

    def __init__(
        self, form: ResponseForm, output: Output, keep: Keep | None, status: str = "in_progress"
    ) -> None:
        self.outcome = Outcome()
        self.status = status
        self._form = form
        self._output = output
        self._keep = keep
        self._created = False
        # What has happened and not been told, as what came after it could not be used.
        self._untold: list[Event] = []
        self._error: ApiError | None = None
        self._completed_at: int | None = None
        self._stored = keep is not None

    def take(self, message: inference_pb2.GenerateResponse) -> list[Event]:
        """Take what happened, and tell it.

        Raises:
            ApiError: The service sent what was not asked for.

        """
        self._untold += self._create()
        for event in message.events:
            self._untold += self._take(event)
        told, self._untold = self._untold, []
        return told

    def end(self) -> list[Event]:
        """End the response, once the service has ended its stream; keep it and tell it.

        Raises:
            ApiError: The generation had not ended.

        """
        self.outcome.check_complete()
        if self.outcome.finish_reasons[0] == "length":
            self.status = "incomplete"
        else:
            self.status, self._completed_at = "completed", int(time.time())
        return [self._finished()]

    def fail(self, error: ApiError) -> list[Event]:
        """End the response because of an error; keep it and tell it."""
        self._untold += [*self._create(), *self._output.close("incomplete")]
        self.status, self._error = "failed", error
        told = {"code": error.code, "message": error.message, "param": error.param}
        return [*self._untold, ("error", told), self._finished()]

    def cancel(self) -> None:
        """End the response because its client wishes so, and keep it."""
        self._output.close("incomplete")
        self.status = "cancelled"
        self._finished()

    def written(self) -> dict[str, Any]:
        """Write the response as it is now."""
        return self._form.write(
            self.status,
            self._output.written(),
            store=self._stored,
            completed_at=self._completed_at,
            outcome=self.outcome if self.outcome.complete else None,
            error=self._error,
        )

    def _take(self, event: inference_pb2.GenerateEvent) -> list[Event]:
        kind = event.WhichOneof("event")
        if event.index or (self.outcome.complete and kind != "started"):
            raise errors.broken_stream(f"event {kind} of completion {event.index}")
        if kind == "text":
            return self._output.text(event.text)
        if kind == "reasoning":
            return self._output.reasoning(event.reasoning)
        if kind == "tool_call":
            return self._output.tool_call(event.tool_call)
        if kind == "finished":
            reason = self.outcome.finish(event.index, event.finished)
            return self._output.close_answer("incomplete" if reason == "length" else "completed")
        if kind != "started":
            raise errors.broken_stream(f"event {kind}")
        self.outcome.start(event.started)
        return []

    def _create(self) -> list[Event]:
        if self._created:
            return []
        self._created = True
        self.status = "in_progress"
        return [
            ("response.created", {"response": self.written()}),
            ("response.in_progress", {"response": self.written()}),
        ]

    def _finished(self) -> Event:
        if self._keep:
            self._stored = self._keep(self.written())
        return f"response.{self.status}", {"response": self.written()}
