"""What happens around every RPC: identity, request id, draining, errors, the access line."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from inference_service.errors import ClientNotAllowed, Draining, InvalidArgument, ServiceError
from inference_service.rpc.status import status_of

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Parse: TypeAlias = Callable[[bytes], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
# Served while draining, as they tell of it; logged at debug, as they are polled.
_QUIET = ("/grpc.health.v1.", "/grpc.reflection.", "/openvino_server.v1.HealthService/")
# Ended as soon as the server drains: what they wait for may take long, or never come, and is of no
# use to a server that goes.
_UNTIL_DRAIN = frozenset(
    f"/openvino_server.v1.ModelService/{name}" for name in ("LoadModel", "PullModel", "WatchModels")
)

_log = structlog.get_logger(__name__)


class Drain:
    """Counts the running requests, and refuses new ones when the server shuts down.

    Attributes:
        draining: Whether new requests are refused.

    """

    def __init__(self) -> None:
        self.draining = False
        self._running: set[asyncio.Task[Any]] = set()
        self._until_drain: set[asyncio.Task[Any]] = set()
        self._told_to_end: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self, *, until_drain: bool = False) -> None:
        """Count in the request of the task that calls.

        Args:
            until_drain: Whether it is ended at the beginning of the drain, not after its time.

        Raises:
            Draining: No new ones are taken.

        """
        if self.draining:
            raise Draining
        task = _task()
        self._running.add(task)
        if until_drain:
            self._until_drain.add(task)
        self._idle.clear()

    def leave(self) -> None:
        """Count out the request of the task that calls."""
        for tasks in (self._running, self._until_drain, self._told_to_end):
            tasks.discard(_task())
        if not self._running:
            self._idle.set()

    def is_told_to_end(self) -> bool:
        """Say whether it is the drain that has cancelled the task that calls."""
        return _task() in self._told_to_end

    async def wait_idle(self, timeout_seconds: float) -> int:
        """Refuse new requests and wait for the running ones; end and return how many are left."""
        self.draining = True
        self._end(self._until_drain)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            self._end(self._running)
        return len(self._running)

    def _end(self, tasks: set[asyncio.Task[Any]]) -> None:
        for task in tasks - self._told_to_end:
            self._told_to_end.add(task)
            task.cancel()


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "requests run in tasks"
    return task


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler.

    A handler may raise `ServiceError`, which becomes the RPC's status with `ErrorInfo`. Any other
    exception is logged under the request id, and the caller gets INTERNAL with a generic message.

    Args:
        allowed_client_names: DNS or URI names in client certificates that may call; `*` for any.
        drain: Told of every request that isn't a probe.

    """

    def __init__(self, allowed_client_names: tuple[str, ...], drain: Drain) -> None:
        self._allowed = frozenset(allowed_client_names)
        self._drain = drain

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wrap the handler that the call is for; unknown methods have none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = str(handler_call_details.method)
        parse, serialize = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary, parse), None, serialize
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream, parse), None, serialize
            )
        if handler.stream_stream:  # reflection
            return grpc.stream_stream_rpc_method_handler(
                self._stream(method, handler.stream_stream, None), parse, serialize
            )
        raise TypeError(f"no way to wrap {method}")

    def _unary(
        self, method: str, behavior: Callable[..., Any], parse: Parse | None
    ) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            async with self._around(method, context):
                return await behavior(_parsed(request, parse), context)

        return call

    def _stream(
        self, method: str, behavior: Callable[..., Any], parse: Parse | None
    ) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> None:
            async with self._around(method, context):
                responses = behavior(_parsed(request, parse), context)
                if not hasattr(responses, "__aiter__"):
                    await responses  # writes to the context itself
                    return
                # Written here, not yielded: so the handler is closed at once when the client
                # goes away, instead of whenever its generator is collected.
                async with aclosing(responses):
                    async for response in responses:
                        await context.write(response)

        return call

    @asynccontextmanager
    async def _around(self, method: str, context: Context) -> AsyncIterator[None]:
        started = time.monotonic()
        quiet = method.startswith(_QUIET)
        request_id = _request_id(context)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        entered = False
        error: ServiceError | None = None
        status = "OK"
        try:
            await context.send_initial_metadata(((REQUEST_ID_KEY, request_id),))
            self._check_client(context)
            if not quiet:
                self._drain.enter(until_drain=method in _UNTIL_DRAIN)
                entered = True
            yield
        except ServiceError as raised:
            error = raised
            status = error.reason
        except asyncio.CancelledError:
            if not self._drain.is_told_to_end() or context.done():
                left = context.time_remaining()
                status = "DEADLINE_EXCEEDED" if left is not None and left <= 0 else "CANCELLED"
                raise
            _task().uncancel()
            error = Draining()
            status = error.reason
        except grpc.aio.AbortError:
            status = context.code().name
            raise
        except grpc.aio.InternalError as gone:
            # A write to a call that has just ended: the client left, or its deadline passed.
            status = "CANCELLED"
            raise asyncio.CancelledError from gone
        except Exception:  # noqa: BLE001  logged, and told as INTERNAL
            status = "INTERNAL"
            _log.exception("rpc.failed", method=method)
            error = ServiceError(
                "internal error; the server's log has the cause under the request id"
            )
        finally:
            if entered:
                self._drain.leave()
            _log.log(
                logging.DEBUG if quiet else logging.INFO,
                "rpc",
                method=method,
                status=status,
                duration_ms=round((time.monotonic() - started) * 1000, 1),
                **({"error": str(error)} if error else {}),
            )
        if error:
            try:
                await context.abort_with_status(status_of(error))
            except grpc.aio.InternalError as unread:
                # A message that the client doesn't read is still on its way, and no status can
                # overtake it. The stop of the server ends the call.
                raise asyncio.CancelledError from unread

    def _check_client(self, context: Context) -> None:
        if "*" in self._allowed:
            return
        names = context.auth_context().get("x509_subject_alternative_name", ())
        if self._allowed.isdisjoint(name.decode(errors="replace") for name in names):
            raise ClientNotAllowed


def _parsed(request: Any, parse: Parse | None) -> Any:
    """Parse a request here rather than before the handler, so that a failure is one of ours."""
    if parse is None:
        return request
    try:
        return parse(request)
    except DecodeError as error:
        raise InvalidArgument("request", "is not a message of this method") from error


def _request_id(context: Context) -> str:
    """Take the caller's request id if it is well formed, else make one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"req_{uuid.uuid4().hex}"
