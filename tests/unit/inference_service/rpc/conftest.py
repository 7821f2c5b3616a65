"""A server with the interceptor, and functions of the test's behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from inference_service.rpc.interceptors import Drain, RequestInterceptor

AnyCall = Callable[..., Any]


class Handlers(grpc.GenericRpcHandler):
    """Answers every method with a function of the test's: its name says how it streams."""

    def __init__(self, functions: dict[str, AnyCall], streams: tuple[str, ...]) -> None:
        self._functions = functions
        self._streams = streams

    def service(self, details: Any) -> Any:
        function = self._functions.get(details.method)
        if function is None:
            return None
        if details.method.endswith("Stream") or details.method in self._streams:
            return grpc.unary_stream_rpc_method_handler(function)
        return grpc.unary_unary_rpc_method_handler(function)


class Served:
    """A server with the interceptor, on loopback without TLS, and a channel to it."""

    def __init__(
        self,
        functions: dict[str, AnyCall],
        allowed: tuple[str, ...] = ("*",),
        streams: tuple[str, ...] = (),
    ) -> None:
        self._streams = streams
        self.drain = Drain()
        self._server = grpc.aio.server(interceptors=[RequestInterceptor(allowed, self.drain)])
        self._server.add_generic_rpc_handlers((Handlers(functions, streams),))

    async def __aenter__(self) -> Served:
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        await self.stop()

    async def stop(self) -> None:
        await self._server.stop(0)

    def call(self, method: str, *metadata: tuple[str, str | bytes], data: bytes = b"") -> Any:
        streams = method.endswith("Stream") or method in self._streams
        kind = "unary_stream" if streams else "unary_unary"
        return getattr(self._channel, kind)(method)(data, metadata=metadata, timeout=10)


def _reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason, dict(info.metadata)


@pytest.fixture
def serve() -> type[Served]:
    """Give what serves functions of the test's: `async with serve({"/x/Method": function})`."""
    return Served


@pytest.fixture
def reason_of() -> Callable[[grpc.aio.AioRpcError], tuple[str, dict[str, str]]]:
    """Give a function that reads an error's reason and its metadata."""
    return _reason_of
