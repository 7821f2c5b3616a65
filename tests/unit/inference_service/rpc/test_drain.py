"""What becomes of requests when the server shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from inference_service.errors import Draining
from inference_service.rpc.interceptors import Drain

AnyCall = Callable[..., Any]


async def echo(request: bytes, _context: object) -> bytes:
    return request


async def test_probes_are_served_while_draining_and_logged_at_debug(
    serve: AnyCall, reason_of: AnyCall
) -> None:
    functions = {"/x/Echo": echo, "/grpc.health.v1.Health/Check": echo}
    async with serve(functions) as served:
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


async def test_what_outlasts_the_drain_is_told_why_it_ends(
    serve: AnyCall, reason_of: AnyCall
) -> None:
    begun = asyncio.Event()

    async def wait_long(_request: bytes, _context: object) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    async with serve({"/x/Wait": wait_long, "/x/Stream": stream_long}) as served:
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
async def test_what_waits_for_models_is_ended_when_the_drain_begins(
    serve: AnyCall, reason_of: AnyCall, name: str
) -> None:
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
    async with serve({waiting: wait_stream, "/x/Run": run}, streams=(waiting,)) as served:
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
    serve: AnyCall,
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = 0

    async def much_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        nonlocal written
        while True:
            yield bytes(1 << 16)
            written += 1

    method = "/openvino_server.v1.ModelService/WatchModels"
    async with serve({method: much_stream}, streams=(method,)) as served:
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
