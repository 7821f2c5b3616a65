from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from structlog.contextvars import bind_contextvars, merge_contextvars
from structlog.testing import capture_logs

from inference_service.errors import Draining, InvalidArgument, ModelNotFound, ReaderTooSlow
from inference_service.rpc.interceptors import REQUEST_ID_KEY, Drain, RequestInterceptor

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


async def echo(request: bytes, _context: object) -> bytes:
    return request


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason, dict(info.metadata)


async def request_id(call: Any) -> str:
    return str(dict(await call.initial_metadata())[REQUEST_ID_KEY])


@pytest.mark.parametrize("given", ["a", "req_1-2.3:4", "A" * 128])
async def test_well_formed_request_id_comes_back(given: str) -> None:
    async with Served({"/x/Echo": echo}) as served:
        call = served.call("/x/Echo", (REQUEST_ID_KEY, given), data=b"1")
        assert await call == b"1"
        assert await request_id(call) == given


@pytest.mark.parametrize("given", [None, "", "a b", "A" * 129, "a/b", "a;b"])
async def test_any_other_request_id_is_replaced(given: str | None) -> None:
    metadata = [] if given is None else [(REQUEST_ID_KEY, given)]
    async with Served({"/x/Echo": echo}) as served:
        calls = [served.call("/x/Echo", *metadata) for _ in range(2)]
        ids = [await request_id(call) for call in calls]
        await asyncio.gather(*calls)
    assert all(re.fullmatch("req_[0-9a-f]{32}", made) for made in ids)
    assert ids[0] != ids[1]


async def fail(_request: bytes, _context: object) -> bytes:
    raise KeyError("the secret cause")


async def fail_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
    yield b"first"
    raise KeyError("the secret cause")


async def drain_stream(call: Any) -> list[bytes]:
    return [item async for item in call]


async def test_unknown_exception_is_told_as_internal_and_logged_under_the_request_id() -> None:
    functions = {"/x/Fail": fail, "/x/FailStream": fail_stream}
    async with Served(functions) as served:
        for method in functions:
            with capture_logs(processors=[merge_contextvars]) as logs:
                call = served.call(method, (REQUEST_ID_KEY, "mine"))
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await (drain_stream(call) if method.endswith("Stream") else call)
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert reason_of(caught.value) == ("INTERNAL", {})
            assert "secret" not in str(caught.value)
            assert await request_id(call) == "mine"
            failed, line = logs
            assert (failed["event"], failed["exc_info"]) == ("rpc.failed", True)
            assert (line["event"], line["method"], line["status"]) == ("rpc", method, "INTERNAL")
            assert failed["request_id"] == line["request_id"] == "mine"


async def test_service_errors_become_statuses_before_and_inside_a_stream() -> None:
    async def refuse(_request: bytes, _context: object) -> bytes:
        raise InvalidArgument("sampling.top_p", "é")

    async def slow_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        yield b"first"
        raise ReaderTooSlow(9)

    def plain_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        raise ModelNotFound("m")

    functions = {"/x/Refuse": refuse, "/x/SlowStream": slow_stream, "/x/PlainStream": plain_stream}
    async with Served(functions) as served:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.call("/x/Refuse")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "sampling.top_p: é"
        assert reason_of(caught.value) == ("INVALID_ARGUMENT", {"field": "sampling.top_p"})
        call = served.call("/x/SlowStream")
        assert await call.read() == b"first"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert reason_of(caught.value) == ("READER_TOO_SLOW", {"limit_bytes": "9"})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await drain_stream(served.call("/x/PlainStream"))
        assert reason_of(caught.value) == ("MODEL_NOT_FOUND", {"model": "m"})


async def test_error_that_quotes_a_long_name_still_arrives() -> None:
    """HTTP/2 peers refuse trailers of more than some KiB, and then the reason would be lost."""

    async def refuse(request: bytes, _context: object) -> bytes:
        raise ModelNotFound(request.decode())

    async with Served({"/x/Refuse": refuse}) as served:
        for name in ("m" * 100_000, "é😀" * 50_000, "\n" * 100_000):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.call("/x/Refuse", data=name.encode())
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            reason, metadata = reason_of(caught.value)
            assert reason == "MODEL_NOT_FOUND"
            assert name.startswith(metadata["model"].removesuffix("…"))
            assert len(metadata["model"]) > 50


async def test_access_line_has_what_the_handler_bound() -> None:
    async def bind(_request: bytes, _context: object) -> bytes:
        bind_contextvars(model="m")
        return b""

    async with Served({"/x/Bind": bind, "/x/Echo": echo}) as served:
        with capture_logs(processors=[merge_contextvars]) as logs:
            await served.call("/x/Bind")
            await served.call("/x/Echo")
    assert [line.get("model") for line in logs] == ["m", None]
    assert [line["log_level"] for line in logs] == ["info", "info"]
    assert all(line["status"] == "OK" and line["duration_ms"] >= 0 for line in logs)


async def test_without_an_allowed_name_nobody_is_served() -> None:
    asked = []

    async def note(request: bytes, _context: object) -> bytes:
        asked.append(request)
        return request

    methods = ("/x/Note", "/grpc.health.v1.Health/Note", "/grpc.reflection.v1alpha.X/Note")
    async with Served(dict.fromkeys(methods, note), allowed=("gateway",)) as served:
        for method in methods:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.call(method)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert reason_of(caught.value) == ("CLIENT_NOT_ALLOWED", {})
    assert asked == []


async def test_unknown_method_is_unimplemented() -> None:
    async with Served({}) as served:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.call("/x/Nothing")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_stream_is_closed_when_its_client_goes(eventually: AnyCall) -> None:
    closed = []

    async def endless_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async with Served({"/x/EndlessStream": endless_stream}) as served:
        with capture_logs() as logs:
            call = served.call("/x/EndlessStream")
            assert await call.read() == b"first"
            assert closed == []
            call.cancel()
            await eventually(lambda: closed == [True])
            await eventually(lambda: logs)
        assert logs[-1]["status"] == "CANCELLED"
        assert await served.drain.wait_idle(5) == 0


async def test_probes_are_served_while_draining_and_logged_at_debug() -> None:
    functions = {"/x/Echo": echo, "/grpc.health.v1.Health/Check": echo}
    async with Served(functions) as served:
        assert await served.drain.wait_idle(5) == 0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.call("/x/Echo")
        assert reason_of(caught.value) == ("DRAINING", {})
        with capture_logs() as logs:
            assert await served.call("/grpc.health.v1.Health/Check", data=b"1") == b"1"
        assert [line["log_level"] for line in logs] == ["debug"]


async def test_drain_waits_for_the_last() -> None:
    drain = Drain()
    may_end = [asyncio.Event(), asyncio.Event()]

    async def run(event: asyncio.Event) -> None:
        drain.enter()
        try:
            await event.wait()
        finally:
            drain.leave()

    running = [asyncio.create_task(run(event)) for event in may_end]
    await asyncio.sleep(0)  # until they run
    waiter = asyncio.create_task(drain.wait_idle(10))
    await asyncio.sleep(0)  # until it waits
    with pytest.raises(Draining):
        drain.enter()
    for event, task in zip(may_end, running, strict=True):
        assert not waiter.done()
        event.set()
        await task
    assert await asyncio.wait_for(waiter, 5) == 0


async def stream_long(_request: bytes, _context: object) -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.Event().wait()


async def test_what_outlasts_the_drain_is_told_why_it_ends() -> None:
    begun = asyncio.Event()

    async def wait_long(_request: bytes, _context: object) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    async with Served({"/x/Wait": wait_long, "/x/Stream": stream_long}) as served:
        stream, waiting = served.call("/x/Stream"), served.call("/x/Wait")
        assert await stream.read() == b"first"
        await asyncio.wait_for(begun.wait(), 5)
        with capture_logs() as logs:
            assert await served.drain.wait_idle(0.01) == 2
            for call in (stream.read(), waiting):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
                assert reason_of(caught.value) == ("DRAINING", {})
            assert await served.drain.wait_idle(5) == 0
        assert [line["status"] for line in logs] == ["DRAINING"] * 2


@pytest.mark.parametrize("name", ["LoadModel", "PullModel", "WatchModels"])
async def test_what_waits_for_models_is_ended_when_the_drain_begins(name: str) -> None:
    closed = asyncio.Event()

    async def wait_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.set()

    runs, may_end = asyncio.Event(), asyncio.Event()

    async def run(_request: bytes, _context: object) -> bytes:
        runs.set()
        await may_end.wait()
        return b"ended well"

    waiting = f"/openvino_server.v1.ModelService/{name}"
    async with Served({waiting: wait_stream, "/x/Run": run}, streams=(waiting,)) as served:
        stream, running = served.call(waiting), served.call("/x/Run")
        assert await stream.read() == b"first"
        await asyncio.wait_for(runs.wait(), 5)
        drained = asyncio.create_task(served.drain.wait_idle(60))
        await asyncio.wait_for(closed.wait(), 5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on(stream)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(caught.value) == ("DRAINING", {})
        assert not drained.done()
        may_end.set()
        assert await running == b"ended well"
        assert await asyncio.wait_for(drained, 5) == 0


async def read_on(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_watch_that_is_not_read_does_not_hold_the_drain(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = 0

    async def much_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        nonlocal written
        while True:
            yield bytes(1 << 16)
            written += 1

    method = "/openvino_server.v1.ModelService/WatchModels"
    async with Served({method: much_stream}, streams=(method,)) as served:
        call = served.call(method)
        await call.read()
        before = -1
        while written > before:  # until the transport takes no more
            before = written
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(served.drain.wait_idle(60), 5) == 0
        await served.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await read_on(call)
    assert [line for line in caplog.records if line.name.startswith("grpc")] == []
