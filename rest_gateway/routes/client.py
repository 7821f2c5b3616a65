"""The client at the other end of a request: what it sends, and whether it is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from starlette.requests import Request
from starlette.types import Receive

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.shown import quoted


async def read_json(request: Request) -> bytes:
    """Read a request's body, which is to be JSON.

    Raises:
        ApiError: Its headers say that it is something else.

    """
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
    return await request.body()


def _unsupported(message: str) -> ApiError:
    code = "unsupported_media_type"
    return ApiError(415, message, code=code, reason=code)


class DrainWatch:
    """Cancels work that has no end of its own as soon as the gateway drains.

    Args:
        draining: Set when it does.
        cancel: Ends the work; harmless when that has ended.

    """

    def __init__(self, draining: asyncio.Event, cancel: Callable[[], object]) -> None:
        self._draining = draining
        self._cancel = cancel
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
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _watch(self) -> None:
        await self._draining.wait()
        self._cancel()


class ClientWatch:
    """Cancels the work for a client as soon as it leaves, and in any case when the block ends.

    Use it once the request's body has been read.

    Args:
        receive: The ASGI channel.
        cancel: Ends the work; harmless when that has ended.

    Attributes:
        gone: Whether the client left.

    """

    def __init__(self, receive: Receive, cancel: Callable[[], object]) -> None:
        self.gone = False
        self._receive = receive
        self._cancel = cancel
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
        self._cancel()
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (problem := self._task.exception()):
            raise problem

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._cancel()
