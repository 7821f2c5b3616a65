"""Runs one call of the service for a response, and ends it when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rest_gateway.openai.failures import to_api_error
from rest_gateway.openai.names import Names
from rest_gateway.routes.client import ClientWatch
from rest_gateway.upstream import UpstreamError


class UnaryResponse(Response):
    """A response whose JSON is made while the client is watched.

    Args:
        work: Calls the service and writes the body; cancelled if the client leaves.
        names: How the client calls the service's fields.
        status: The HTTP status of success.
        tell_causes: As in `to_api_error`.

    """

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, bytes]],
        names: Names,
        status: int = 200,
        *,
        tell_causes: bool = False,
    ) -> None:
        self.background = None
        self._work = work
        self._names = names
        self._status = status
        self._tell_causes = tell_causes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and send its answer.

        Raises:
            ApiError: The call failed.
            ClientDisconnect: The client left; the call has been cancelled.

        """
        task = asyncio.create_task(self._work())
        async with ClientWatch(receive, task.cancel) as client:
            try:
                body = await task
            except asyncio.CancelledError:
                if client.gone:
                    raise ClientDisconnect from None
                raise
            except UpstreamError as error:
                raise to_api_error(error, self._names, tell_causes=self._tell_causes) from None
            response = Response(body, self._status, media_type="application/json")
            await response(scope, receive, send)
