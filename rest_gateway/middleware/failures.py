"""Turns every exception that reaches it into an error object of the API that was called."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rest_gateway.anthropic.errors import error_body, is_anthropic, status_of
from rest_gateway.openai import errors
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.failures import to_api_error
from rest_gateway.telemetry.logging import record_of

CLIENT_CLOSED_REQUEST = 499  # nginx's; never sent, there is no one to send it to


class FailuresMiddleware:
    """Answers what failed before the response began; nothing passes as a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = record_of(scope)
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        async def answer(error: ApiError) -> None:
            record.error = error.reason
            anthropic = is_anthropic(scope["path"])
            response = Response(
                error_body(error, record.request_id) if anthropic else error.body(),
                status_of(error) if anthropic else error.status,
                dict(error.headers or {}),
                media_type="application/json",
            )
            await response(scope, receive, send)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            record.error = "client_disconnected"
            record.status = record.status or CLIENT_CLOSED_REQUEST
        except asyncio.CancelledError:
            # The server cancels what still runs when the drain time is over.
            record.error = record.error or errors.shutting_down().reason
            if not started:
                await answer(errors.shutting_down())
            raise
        except Exception as error:
            said = to_api_error(error)
            record.error = said.reason
            if started:
                # The server ends the connection, so that the client can't take this for a whole
                # answer.
                raise
            await answer(said)
