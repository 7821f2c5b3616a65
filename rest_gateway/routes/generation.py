"""Runs a generation for a response, whichever API's form the answer has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rest_gateway.openai import errors, sse
from rest_gateway.openai.answer import BodyWriter, StreamWriter
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.failures import to_api_error
from rest_gateway.openai.names import Names
from rest_gateway.openai.outcome import Outcome
from rest_gateway.routes.client import ClientWatch
from rest_gateway.telemetry.logging import RequestRecord
from rest_gateway.upstream import Generation, UpstreamError


@dataclass(frozen=True, slots=True)
class GenerationLimits:
    """How long things may take.

    Attributes:
        request_timeout_seconds: The whole generation.
        sse_keepalive_seconds: Silence on a stream, before a comment is sent.

    """

    request_timeout_seconds: float
    sse_keepalive_seconds: float


class GenerationResponse(Response):
    """A response that runs a generation while it is sent.

    Starlette's own streaming response knows its status before its first event, and does not look
    for a client that leaves while there is nothing to send.

    Args:
        start: Starts the generation.
        writer: Makes the answer: a stream of events or one body.
        record: The request's line in the log.
        names: How the client calls the service's fields.
        keepalive_seconds: Silence on a stream, before a comment is sent.

    """

    def __init__(
        self,
        start: Callable[[], Generation],
        writer: StreamWriter | BodyWriter,
        record: RequestRecord,
        names: Names,
        keepalive_seconds: float,
    ) -> None:
        self.background = None
        self._start = start
        self._writer = writer
        self._record = record
        self._names = names
        self._keepalive_seconds = keepalive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the generation.

        Raises:
            ApiError: It failed before the response began.
            ClientDisconnect: The client left; the generation has been cancelled.

        """
        call = self._start()
        writer = self._writer
        async with ClientWatch(receive, call.cancel) as client:
            if isinstance(writer, BodyWriter):
                response = Response(
                    await self._whole(call, client, writer), media_type="application/json"
                )
                await response(scope, receive, send)
            else:
                await self._stream(call, client, writer, send)

    async def _whole(self, call: Generation, client: ClientWatch, writer: BodyWriter) -> bytes:
        try:
            async for message in call:
                writer.add(message)
        except UpstreamError as error:
            raise (
                ClientDisconnect() if client.gone else to_api_error(error, self._names)
            ) from None
        body = writer.body()
        self._note(writer.outcome)
        return body

    async def _stream(
        self, call: Generation, client: ClientWatch, writer: StreamWriter, send: Send
    ) -> None:
        async with sse.EventStream(send, self._keepalive_seconds) as events:
            try:
                async for message in call:
                    if data := writer.write(message):
                        await events.write(data)
                end = writer.end()
            except asyncio.CancelledError:
                # The drain time is over.
                await self._fail(events, writer, errors.shutting_down())
                raise
            except Exception as error:  # noqa: BLE001 - what has begun must end with its cause
                if client.gone:
                    raise ClientDisconnect from None
                await self._fail(events, writer, to_api_error(error, self._names))
                return
            self._note(writer.outcome)
            await events.end(end)

    async def _fail(self, events: sse.EventStream, writer: StreamWriter, error: ApiError) -> None:
        """Say an error in the stream, or raise it if the response can still be one."""
        await events.stop_comments()
        if not events.started:
            raise error
        self._record.error = error.reason
        await events.end(writer.fail(error))

    def _note(self, outcome: Outcome) -> None:
        self._record.finish_reason = ",".join(sorted(set(outcome.finish_reasons.values())))
        self._record.prompt_tokens = outcome.prompt_tokens
        self._record.completion_tokens = outcome.completion_tokens
