"""Gives each request an id, and writes one line about it when it ends."""

from __future__ import annotations

import re
import uuid

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rest_gateway.telemetry.logging import RequestRecord, attach_record

_VERSION = b"2020-10-01"  # the only one that OpenAI's API has had
# As the service accepts them; see `InferenceService` in inference.proto.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestLogMiddleware:
    """Takes the client's `x-request-id`, or makes one, and returns it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        record = RequestRecord(
            request_id=given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}",
            method=scope["method"],
            path=scope["path"],
        )
        attach_record(scope, record)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", record.request_id.encode()),
                    (b"request-id", record.request_id.encode()),  # as Anthropic names it
                    (b"openai-version", _VERSION),
                    (b"openai-processing-ms", b"%d" % record.elapsed_ms()),
                ]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=record.request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                record.write()
