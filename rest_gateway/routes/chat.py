"""`POST /v1/chat/completions`."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rest_gateway.openai import errors, sse
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.failures import to_api_error
from rest_gateway.openai.schema import ChatCompletionRequest, parse_chat_completion
from rest_gateway.openai.shown import quoted
from rest_gateway.openai.translate import (
    ChunkWriter,
    CompletionBuilder,
    Outcome,
    request_to_proto,
)
from rest_gateway.telemetry.logging import RequestRecord, record_of
from rest_gateway.upstream import Generation, Upstream, UpstreamError


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """How long things may take.

    Attributes:
        request_timeout_seconds: The whole completion.
        sse_keepalive_seconds: Silence on a stream, before a comment is sent.

    """

    request_timeout_seconds: float
    sse_keepalive_seconds: float


def chat_router(upstream: Upstream, limits: ChatLimits) -> APIRouter:
    """Make the routes of chat completions."""
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def create_chat_completion(request: Request) -> Response:
        _check_headers(request)
        body = parse_chat_completion(await request.body())
        record = record_of(request.scope)
        record.model, record.stream = body.model, bool(body.stream)
        return _CompletionResponse(body, record, upstream, limits)

    return router


def _check_headers(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise _unsupported(
            f"The content type must be application/json, not {quoted(given) if given else 'unset'}."
        )
    encoding = request.headers.get("content-encoding", "")
    if encoding.strip().lower() not in {"", "identity"}:
        raise _unsupported(
            f"The content encoding {quoted(encoding)} is not supported; send the body as it is."
        )


def _unsupported(message: str) -> ApiError:
    code = "unsupported_media_type"
    return ApiError(415, message, code=code, reason=code)


class _CompletionResponse(Response):
    """A response that runs the completion while it is sent.

    Starlette's own streaming response knows its status before its first event, and does not look
    for a client that leaves while there is nothing to send.
    """

    def __init__(
        self,
        body: ChatCompletionRequest,
        record: RequestRecord,
        upstream: Upstream,
        limits: ChatLimits,
    ) -> None:
        self.background = None
        self._request = body
        self._record = record
        self._upstream = upstream
        self._limits = limits
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the completion.

        Raises:
            ApiError: It failed before the response began.
            ClientDisconnect: The client left; the completion has been cancelled.

        """
        call = self._upstream.generate(
            request_to_proto(self._request),
            self._record.request_id,
            self._limits.request_timeout_seconds,
        )
        async with _ClientWatch(receive, call) as client:
            if self._request.stream:
                await self._stream(call, client, send)
            else:
                response = Response(await self._whole(call, client), media_type="application/json")
                await response(scope, receive, send)

    async def _whole(self, call: Generation, client: _ClientWatch) -> bytes:
        builder = CompletionBuilder()
        try:
            async for message in call:
                builder.add(message)
        except UpstreamError as error:
            raise (
                ClientDisconnect() if client.gone else to_api_error(error, self._request)
            ) from None
        body = builder.completion(self._id, self._created, self._request.model)
        self._note(builder.outcome)
        return body

    async def _stream(self, call: Generation, client: _ClientWatch, send: Send) -> None:
        options = self._request.stream_options
        writer = ChunkWriter(
            self._id,
            self._created,
            self._request.model,
            include_usage=bool(options and options.include_usage),
        )
        async with sse.EventStream(send, self._limits.sse_keepalive_seconds) as events:
            try:
                async for message in call:
                    if chunks := writer.chunks(message):
                        await events.write(sse.frames(chunks))
                if writer.outcome is None:
                    raise errors.broken_stream("the end, before the completion ended")  # noqa: TRY301
            except asyncio.CancelledError:
                # The drain time is over.
                await self._fail(events, errors.shutting_down())
                raise
            except Exception as error:  # noqa: BLE001 - what has begun must end with its cause
                if client.gone:
                    raise ClientDisconnect from None
                await self._fail(events, to_api_error(error, self._request))
                return
            self._note(writer.outcome)
            await events.end(sse.DONE)

    async def _fail(self, events: sse.EventStream, error: ApiError) -> None:
        """Say an error in the stream, or raise it if the response can still be one."""
        await events.stop_comments()
        if not events.started:
            raise error
        self._record.error = error.reason
        await events.end(sse.frames([error.body()]))

    def _note(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self._record.finish_reason = outcome.finish_reason
            self._record.prompt_tokens = outcome.usage.prompt_tokens
            self._record.completion_tokens = outcome.usage.completion_tokens


class _ClientWatch:
    """Cancels a call as soon as its client leaves, and in any case when the block ends.

    Attributes:
        gone: Whether the client left.

    """

    def __init__(self, receive: Receive, call: Generation) -> None:
        self.gone = False
        self._receive = receive
        self._call = call
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call.cancel()
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (problem := self._task.exception()):
            raise problem

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._call.cancel()
