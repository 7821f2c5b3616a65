"""Runs a call that tells how far its work has come, and shows that, or only its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rest_gateway.openai import errors, sse
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.failures import to_api_error
from rest_gateway.openai.names import Names
from rest_gateway.routes.client import ClientWatch, DrainWatch
from rest_gateway.telemetry.logging import RequestRecord
from rest_gateway.upstream import Stream

_Message = TypeVar("_Message")


@dataclass(frozen=True, slots=True)
class ProgressForm(Generic[_Message]):
    """How a call's messages are shown.

    Attributes:
        write: Writes one as an event.
        end: What closes the stream.
        names: How the client calls the service's fields.
        keepalive_seconds: Silence on the stream, before a comment is sent.

    """

    write: Callable[[_Message], bytes]
    end: bytes
    names: Names
    keepalive_seconds: float


class ProgressResponse(Response, Generic[_Message]):
    """A response of an event for each message of a call.

    Args:
        start: Starts the call.
        form: How its messages are shown.
        record: The request's line in the log.
        draining: Ends the call when it is set: for calls that have no end. None for others.

    """

    def __init__(
        self,
        start: Callable[[], Stream[_Message]],
        form: ProgressForm[_Message],
        record: RequestRecord,
        draining: asyncio.Event | None = None,
    ) -> None:
        self.background = None
        self._start = start
        self._form = form
        self._record = record
        self._draining = draining or asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the call.

        Raises:
            ApiError: It failed before the response began.
            ClientDisconnect: The client left; the call has been cancelled.

        """
        call = self._start()
        async with (
            DrainWatch(self._draining, call.cancel),
            ClientWatch(receive, call.cancel) as client,
            sse.EventStream(send, self._form.keepalive_seconds) as events,
        ):
            try:
                async for message in call:
                    await events.write(self._form.write(message))
            except asyncio.CancelledError:
                # The drain time is over.
                await self._fail(events, errors.shutting_down())
                raise
            except Exception as error:  # noqa: BLE001 - what has begun must end with its cause
                if client.gone:
                    raise ClientDisconnect from None
                if self._draining.is_set():
                    await self._fail(events, errors.shutting_down())
                else:
                    await self._fail(
                        events, to_api_error(error, self._form.names, tell_causes=True)
                    )
                return
            await events.end(self._form.end)

    async def _fail(self, events: sse.EventStream, error: ApiError) -> None:
        """Say an error in the stream, or raise it if the response can still be one."""
        await events.stop_comments()
        if not events.started:
            raise error
        self._record.error = error.reason
        await events.end(sse.frames([error.body()]))


async def last_of(call: Stream[_Message]) -> _Message:
    """Wait for the end of a call, and return its last message.

    Raises:
        UpstreamError: It failed.
        ApiError: It ended without a message.

    """
    last = None
    try:
        async for message in call:
            last = message
    finally:
        call.cancel()
    if last is None:
        raise errors.broken_stream("an end without a message")
    return last


async def first_of(call: Stream[_Message]) -> _Message:
    """Wait for the first message of a call, and leave the call; otherwise as `last_of`."""
    try:
        async for message in call:
            return message
    finally:
        call.cancel()
    raise errors.broken_stream("an end without a message")
