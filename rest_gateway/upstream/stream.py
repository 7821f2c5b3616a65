"""Calls of the service that answer with a stream."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import grpc

from rest_gateway.upstream.errors import UpstreamError, error_from_rpc

Message = TypeVar("Message")
_Given = TypeVar("_Given", covariant=True)


class Stream(Protocol[_Given]):
    """A running call: iterate it to its end, or cancel it."""

    def __aiter__(self) -> Self:
        """Give the iterator, which is the call itself."""

    async def __anext__(self) -> _Given:
        """Wait for the next message.

        Raises:
            StopAsyncIteration: The call ended well.
            UpstreamError: The call failed, or was cancelled by `cancel`.

        """

    def cancel(self) -> None:
        """End the call now. Does nothing to a call that has ended."""


class GrpcStream(Generic[Message]):
    """`Stream` over a grpc.aio call.

    It reads message by message: gRPC's own iterator is an async generator, and what is left of
    one ends when the garbage collector comes by.
    """

    def __init__(self, call: grpc.aio.UnaryStreamCall[Any, Message]) -> None:
        self._call = call
        self._cancelled = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        try:
            message = await self._call.read()
        except asyncio.CancelledError:
            # gRPC raises this for a call cancelled here, too; only a cancelled task is to unwind.
            task = asyncio.current_task()
            if self._cancelled and not (task and task.cancelling()):
                raise UpstreamError(grpc.StatusCode.CANCELLED, None, "cancelled here") from None
            raise
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return cast("Message", message)

    def cancel(self) -> None:
        """See `Stream`."""
        self._cancelled = True
        self._call.cancel()
