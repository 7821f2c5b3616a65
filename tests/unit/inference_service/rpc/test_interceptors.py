from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.contextvars import bind_contextvars, merge_contextvars
from structlog.testing import capture_logs

from inference_service.errors import InvalidArgument, ModelNotFound, ReaderTooSlow
from inference_service.rpc.interceptors import REQUEST_ID_KEY

AnyCall = Callable[..., Any]


async def echo(request: bytes, _context: object) -> bytes:
    return request


async def request_id(call: Any) -> str:
    return str(dict(await call.initial_metadata())[REQUEST_ID_KEY])


@pytest.mark.parametrize("given", ["a", "req_1-2.3:4", "A" * 128])
async def test_well_formed_request_id_comes_back(serve: AnyCall, given: str) -> None:
    async with serve({"/x/Echo": echo}) as served:
        call = served.call("/x/Echo", (REQUEST_ID_KEY, given), data=b"1")
        assert await call == b"1"
        assert await request_id(call) == given


@pytest.mark.parametrize("given", [None, "", "a b", "A" * 129, "a/b", "a;b"])
async def test_any_other_request_id_is_replaced(serve: AnyCall, given: str | None) -> None:
    metadata = [] if given is None else [(REQUEST_ID_KEY, given)]
    async with serve({"/x/Echo": echo}) as served:
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


async def test_unknown_exception_is_told_as_internal_and_logged_under_the_request_id(
    serve: AnyCall, reason_of: AnyCall
) -> None:
    functions = {"/x/Fail": fail, "/x/FailStream": fail_stream}
    async with serve(functions) as served:
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


async def test_service_errors_become_statuses_before_and_inside_a_stream(
    serve: AnyCall, reason_of: AnyCall
) -> None:
    async def refuse(_request: bytes, _context: object) -> bytes:
        raise InvalidArgument("sampling.top_p", "é")

    async def slow_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        yield b"first"
        raise ReaderTooSlow(9)

    def plain_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        raise ModelNotFound("m")

    functions = {"/x/Refuse": refuse, "/x/SlowStream": slow_stream, "/x/PlainStream": plain_stream}
    async with serve(functions) as served:
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


async def test_error_that_quotes_a_long_name_still_arrives(
    serve: AnyCall, reason_of: AnyCall
) -> None:
    """HTTP/2 peers refuse trailers of more than some KiB, and then the reason would be lost."""

    async def refuse(request: bytes, _context: object) -> bytes:
        raise ModelNotFound(request.decode())

    async with serve({"/x/Refuse": refuse}) as served:
        for name in ("m" * 100_000, "é😀" * 50_000, "\n" * 100_000):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.call("/x/Refuse", data=name.encode())
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            reason, metadata = reason_of(caught.value)
            assert reason == "MODEL_NOT_FOUND"
            assert name.startswith(metadata["model"].removesuffix("…"))
            assert len(metadata["model"]) > 50


async def test_access_line_has_what_the_handler_bound(serve: AnyCall) -> None:
    async def bind(_request: bytes, _context: object) -> bytes:
        bind_contextvars(model="m")
        return b""

    async with serve({"/x/Bind": bind, "/x/Echo": echo}) as served:
        with capture_logs(processors=[merge_contextvars]) as logs:
            await served.call("/x/Bind")
            await served.call("/x/Echo")
    assert [line.get("model") for line in logs] == ["m", None]
    assert [line["log_level"] for line in logs] == ["info", "info"]
    assert all(line["status"] == "OK" and line["duration_ms"] >= 0 for line in logs)


async def test_without_an_allowed_name_nobody_is_served(serve: AnyCall, reason_of: AnyCall) -> None:
    asked = []

    async def note(request: bytes, _context: object) -> bytes:
        asked.append(request)
        return request

    methods = ("/x/Note", "/grpc.health.v1.Health/Note", "/grpc.reflection.v1alpha.X/Note")
    async with serve(dict.fromkeys(methods, note), allowed=("gateway",)) as served:
        for method in methods:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.call(method)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert reason_of(caught.value) == ("CLIENT_NOT_ALLOWED", {})
    assert asked == []


async def test_unknown_method_is_unimplemented(serve: AnyCall) -> None:
    async with serve({}) as served:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.call("/x/Nothing")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_stream_is_closed_when_its_client_goes(serve: AnyCall, eventually: AnyCall) -> None:
    closed = []

    async def endless_stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async with serve({"/x/EndlessStream": endless_stream}) as served:
        with capture_logs() as logs:
            call = served.call("/x/EndlessStream")
            assert await call.read() == b"first"
            assert closed == []
            call.cancel()
            await eventually(lambda: closed == [True])
            await eventually(lambda: logs)
        assert logs[-1]["status"] == "CANCELLED"
        assert await served.drain.wait_idle(5) == 0
