"""The events of one request, from the worker's frames to the one task that reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from inference_service.domain import (
    Event,
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from inference_service.errors import ReaderTooSlow

_LOGPROB_BYTES = 16  # what a token's log-probability takes on the wire, its text aside


class Parser(Protocol):
    """Reads the text of one completion: what of it is reasoning, and what calls of tools."""

    def push(self, delta: TextDelta) -> list[Event]:
        """Take the next piece of text, and return the events that it makes; perhaps none yet."""

    def finish(self, finished: Finished) -> list[Event]:
        """Take the end, and return what was held back and, as the last event, the end to tell."""


class EventStream:
    """Events of one request, parsed, then coalesced for their one reader.

    A reader that keeps up gets the events of each step; one that is behind gets all since its last
    read, where what adjoins within a completion is joined. Parsers come first, so that what they
    see never depends on the reader. Iterate it, and `close` it whatever happens.

    Args:
        max_unread_bytes: Unread text, with log-probabilities, beyond which the request is
            cancelled.
        on_close: Called once, when the stream ends or is closed; told whether the worker still
            works on the request.
        parser: Makes the parser of one completion; `None` leaves all text as it is. One that
            raises fails the request: its exception is the reader's.
        n: Completions of the request; the stream ends when all have.

    """

    def __init__(
        self,
        max_unread_bytes: int,
        on_close: Callable[[bool], None],
        *,
        parser: Callable[[], Parser] | None = None,
        n: int = 1,
    ) -> None:
        self._max_unread_bytes = max_unread_bytes
        self._on_close = on_close
        self._make_parser = parser
        self._parsers: dict[int, Parser] = {}
        self._running = n
        self._unread: list[Event] = []
        self._unread_bytes = 0
        self._last: dict[int, int] = {}  # of each completion, where in `_unread` its last event is
        self._failure: Exception | None = None
        self._ended = False
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def running(self) -> int:
        """Completions that haven't ended; of no meaning once the stream is closed."""
        return self._running

    def push(self, event: Event) -> None:
        """Add an event; after the last one, or a close, it is dropped."""
        if self._closed:
            return
        try:
            events = self._parsed(event)
        except Exception as error:  # noqa: BLE001  raised where the request is, logged there
            self._failure = error
            self._finish(still_running=True)
            self._wake()
            return
        for parsed in events:
            self._append(parsed)
        if self._unread_bytes > self._max_unread_bytes:
            self._forget()
            self._failure = ReaderTooSlow(self._max_unread_bytes)
            self._finish(still_running=self._running > 0)
        elif not self._running:
            self._ended = True
            self._finish(still_running=False)
        if events:
            self._wake()

    def fail(self, error: Exception) -> None:
        """End the stream: what is unread is still read, then the error is raised."""
        if self._closed:
            return
        self._failure = error
        self._finish(still_running=False)
        self._wake()

    def close(self) -> None:
        """Cancel the request if it still runs. Harmless when it has ended."""
        self._forget()
        self._ended = True
        self._finish(still_running=True)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> list[Event]:
        """Wait for events and return all that are unread.

        Raises:
            ServiceError: The request failed; everything before it has been returned.
            Exception: A parser raised it.

        """
        while not self._unread:
            if self._failure:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        unread = self._unread
        self._forget()
        return unread

    def _parsed(self, event: Event) -> list[Event]:
        if self._make_parser is None or isinstance(event, Started):
            return [event]
        parser = self._parsers.get(event.index)
        if parser is None:
            parser = self._parsers[event.index] = self._make_parser()
        if isinstance(event, TextDelta):
            return parser.push(event)
        if not isinstance(event, Finished):
            return [event]
        events = parser.finish(event)
        if not events or not isinstance(events[-1], Finished):
            raise TypeError(f"{type(parser).__name__} does not finish what it parses")
        return events

    def _append(self, event: Event) -> None:
        if isinstance(event, Started):
            self._unread.append(event)
            return
        if isinstance(event, Finished):
            self._running -= 1
            self._parsers.pop(event.index, None)
        else:
            self._unread_bytes += _size(event)
        place = self._last.get(event.index)
        joined = _join(self._unread[place], event) if place is not None else None
        if place is not None and joined is not None:
            self._unread[place] = joined
        else:
            self._last[event.index] = len(self._unread)
            self._unread.append(event)

    def _forget(self) -> None:
        self._unread, self._unread_bytes, self._last = [], 0, {}

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _finish(self, *, still_running: bool) -> None:
        if not self._closed:
            self._closed = True
            self._parsers.clear()
            self._on_close(still_running)


def _join(last: Event, event: Event) -> Event | None:
    """Join an event of a completion with the one before it; `None` if they can't be."""
    if (isinstance(last, TextDelta) and isinstance(event, TextDelta)) or (
        isinstance(last, ReasoningDelta) and isinstance(event, ReasoningDelta)
    ):
        return type(event)(
            event.index,
            last.text + event.text,
            last.tokens + event.tokens,
            last.logprobs + event.logprobs,
        )
    if (
        isinstance(last, ToolCallDelta)
        and isinstance(event, ToolCallDelta)
        and last.call_index == event.call_index
        and event.id is None
        and event.name is None
    ):
        return replace(last, arguments=last.arguments + event.arguments)
    return None


def _size(event: TextDelta | ReasoningDelta | ToolCallDelta) -> int:
    if isinstance(event, ToolCallDelta):
        return sum(len(text.encode()) for text in (event.id, event.name, event.arguments) if text)
    size = len(event.text.encode())
    return size + sum(_LOGPROB_BYTES + len(entry.token) for entry in event.logprobs)
