import asyncio
from typing import Any

import grpc
import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.upstream import HealthProblem, Upstream, UpstreamError


async def test_reason_and_metadata_are_read(upstream: Upstream) -> None:
    with pytest.raises(UpstreamError) as caught:
        await upstream.models.get("nothing", "req_1")
    assert caught.value.status is grpc.StatusCode.NOT_FOUND
    assert caught.value.reason == "MODEL_NOT_FOUND"
    assert caught.value.metadata == {"model": "nothing"}
    assert caught.value.message == "no model is named 'nothing'"


async def test_plain_status_has_no_reason(upstream: Upstream, service: Any, failure: Any) -> None:
    service.script = [failure(grpc.StatusCode.INTERNAL, "boom")]
    with pytest.raises(UpstreamError) as caught:
        await anext(upstream.generate(inference_pb2.GenerateRequest(), "req_1", 5))
    assert (caught.value.status, caught.value.reason) == (grpc.StatusCode.INTERNAL, None)


async def test_cancelled_call_fails_for_its_reader(upstream: Upstream, service: Any) -> None:
    service.script = [asyncio.Event()]
    call = upstream.generate(inference_pb2.GenerateRequest(), "req_1", 60)
    reader = asyncio.ensure_future(anext(call))
    await service.started.wait()
    call.cancel()
    with pytest.raises(UpstreamError) as caught:
        await reader
    assert caught.value.status is grpc.StatusCode.CANCELLED
    async with asyncio.timeout(5):
        await service.cancelled.wait()


async def test_cancelled_reader_cancels_the_call(upstream: Upstream, service: Any) -> None:
    service.script = [asyncio.Event()]
    call = upstream.generate(inference_pb2.GenerateRequest(), "req_1", 60)
    reader = asyncio.ensure_future(anext(call))
    await service.started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    async with asyncio.timeout(5):
        await service.cancelled.wait()


async def test_ended_call_can_be_cancelled(upstream: Upstream, service: Any, events: Any) -> None:
    service.script = events.answer("a")
    call = upstream.generate(inference_pb2.GenerateRequest(), "req_1", 60)
    assert len([message async for message in call]) == 3
    call.cancel()


async def test_health_of_an_unknown_service(upstream: Upstream) -> None:
    assert await upstream.check_health() is None
    assert await upstream.check_health("nothing") == HealthProblem(
        "the inference service can't be asked: NOT_FOUND", answered=False
    )
