"""Refuses bodies over a limit, as early as can be."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rest_gateway.openai import errors


class BodySizeMiddleware:
    """Checks the announced size at once, and the real size while it is read.

    Args:
        app: What reads the body.
        max_bytes: The largest size that passes.

    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            ApiError: The body is too large.

        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise errors.body_too_large(self._max_bytes)
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise errors.body_too_large(self._max_bytes)
            return message

        await self._app(scope, counted_receive, send)
