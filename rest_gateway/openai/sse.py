"""Server-sent events as OpenAI's API uses them: the only place that knows their form.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from starlette.types import Message, Send

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # tells nginx not to hold events back
)
# U+0085, U+2028 and U+2029, which end lines for Unicode, and with it for `httpx.iter_lines`.
_LINE_ENDS = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")


def frames(payloads: Sequence[bytes]) -> bytes:
    r"""Write JSON objects as events, one each. JSON escapes `\r` and `\n`, so one line holds it."""
    return b"data: " + b"\n\ndata: ".join(map(_one_line, payloads)) + b"\n\n"


def named_frames(events: Sequence[tuple[str, bytes]]) -> bytes:
    """Write JSON objects as events, each with its name."""
    return b"".join(
        b"event: " + name.encode() + b"\ndata: " + _one_line(payload) + b"\n\n"
        for name, payload in events
    )


def _one_line(payload: bytes) -> bytes:
    """Escape what JSON leaves as it is, and some readers take for the end of a line."""
    if payload.isascii():
        return payload
    return _LINE_ENDS.sub(lambda end: b"\\u%04x" % ord(end.group().decode()), payload)


class EventStream:
    """A response of events that is never silent for long.

    The status and headers are sent with the first event, or with the first keep-alive comment,
    whichever comes first; until then the response can still become something else. Use it as a
    context manager: leaving it ends the comments.

    Args:
        send: The ASGI channel.
        keepalive_seconds: Silence after which a comment is sent.

    Attributes:
        started: Whether status and headers have been sent.

    """

    def __init__(self, send: Send, keepalive_seconds: float) -> None:
        self.started = False
        self._send = send
        self._period = keepalive_seconds
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        # Comments come from a task of their own; ASGI messages must not overtake each other.
        self._lock = asyncio.Lock()
        self._comments: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._comments = asyncio.create_task(self._keep_alive())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop_comments()

    async def write(self, data: bytes) -> None:
        """Send events; the first call sends status and headers too."""
        async with self._lock:
            await self._write(data)

    async def end(self, data: bytes) -> None:
        """Send the last events and end the response."""
        await self.stop_comments()
        await self.write(data)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def stop_comments(self) -> None:
        """End the comments, so that a response not `started` can become something else."""
        task, self._comments = self._comments, None
        if task is None:
            return
        # Under the lock, a comment is either sent whole or not at all.
        async with self._lock:
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()):
            raise error

    async def _write(self, data: bytes) -> None:
        if not self.started:
            self.started = True
            start: Message = {
                "type": "http.response.start",
                "status": 200,
                "headers": list(HEADERS),
            }
            await self._send(start)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._last_write = self._loop.time()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._last_write + self._period - self._loop.time())
            async with self._lock:
                if self._loop.time() >= self._last_write + self._period:
                    await self._write(KEEP_ALIVE)
