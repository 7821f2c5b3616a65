"""Parsers of completions: text deltas in, events out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.domain import Event, Finished, FinishReason, TextDelta

Read: TypeAlias = Callable[[Scanner, Output], Steps[None]]

_NOTHING = Markers()


class Parser(Protocol):
    """Turns the text of one completion into events."""

    def push(self, delta: TextDelta) -> list[Event]:
        """Take the next text and return the events it makes."""
        ...

    def finish(self, finished: Finished) -> list[Event]:
        """Take the end and return the last events, of which the last is the end."""
        ...


class CompletionParser:
    """Reads one completion. Whatever a model writes, it doesn't raise.

    Args:
        read: Reads the text; what it leaves is content.
        parallel: Whether there may be several calls.
        begun: What the prompt has of the completion already.

    """

    def __init__(self, read: Read, *, parallel: bool, begun: str = "") -> None:
        self._scanner = Scanner()
        self._output = Output(parallel=parallel)
        self._steps = self._all(read)
        if begun:
            self.push(TextDelta(0, begun))

    def push(self, delta: TextDelta) -> list[Event]:
        """Take the next text and return the events it makes."""
        if delta.text:
            self._scanner.feed(delta.text)
            next(self._steps)
        return self._output.events(delta)

    def finish(self, finished: Finished) -> list[Event]:
        """Take the end and return the last events, of which the last is the end."""
        self._scanner.ended = True
        self._scanner.cut = finished.reason is FinishReason.LENGTH
        next(self._steps, None)
        return self._output.finished(finished)

    def _all(self, read: Read) -> Steps[None]:
        yield from read(self._scanner, self._output)
        yield from self._scanner.text_until(_NOTHING, self._output.text)
