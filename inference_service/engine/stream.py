"""The events of one request, from the worker's frames to the one task that reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from inference_service.domain import Event, Finished, TextDelta
from inference_service.errors import ReaderTooSlow, ServiceError


class EventStream:
    """Events of one request, coalesced for their one reader.

    A reader that keeps up gets the events of each step; one that is behind gets all since its last
    read, adjacent text joined. Iterate it, and `close` it whatever happens.

    Args:
        max_unread_bytes: Unread text beyond which the request is cancelled.
        on_close: Called once, when the stream ends or is closed; told whether the worker still
            works on the request.

    """

    def __init__(self, max_unread_bytes: int, on_close: Callable[[bool], None]) -> None:
        self._max_unread_bytes = max_unread_bytes
        self._on_close = on_close
        self._unread: list[Event] = []
        self._unread_bytes = 0
        self._failure: ServiceError | None = None
        self._ended = False
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def push(self, event: Event) -> None:
        """Add an event; after the last one, or a close, it is dropped."""
        if self._closed:
            return
        last = self._unread[-1] if self._unread else None
        if (
            isinstance(event, TextDelta)
            and isinstance(last, TextDelta)
            and last.index == event.index
        ):
            self._unread[-1] = TextDelta(event.index, last.text + event.text)
        else:
            self._unread.append(event)
        if isinstance(event, TextDelta):
            self._unread_bytes += len(event.text.encode())
            if self._unread_bytes > self._max_unread_bytes:
                self._unread.clear()
                self._failure = ReaderTooSlow(self._max_unread_bytes)
                self._finish(still_running=True)
        elif isinstance(event, Finished):
            self._ended = True
            self._finish(still_running=False)
        self._wake()

    def fail(self, error: ServiceError) -> None:
        """End the stream: what is unread is still read, then the error is raised."""
        if self._closed:
            return
        self._failure = error
        self._finish(still_running=False)
        self._wake()

    def close(self) -> None:
        """Cancel the request if it still runs. Harmless when it has ended."""
        self._unread.clear()
        self._ended = True
        self._finish(still_running=True)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> list[Event]:
        """Wait for events and return all that are unread.

        Raises:
            ServiceError: The request failed; everything before it has been returned.

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
        unread, self._unread, self._unread_bytes = self._unread, [], 0
        return unread

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _finish(self, *, still_running: bool) -> None:
        if not self._closed:
            self._closed = True
            self._on_close(still_running)
