from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2 as probe_pb2
from openvino_server.v1 import health_pb2, models_pb2

AnyCall = Callable[..., Any]

SLOW = {"echo": {"fake_step_seconds": 0.02}}


async def read_on(call: Any) -> None:
    while await call.read():
        pass


@pytest.fixture
def gone() -> AnyCall:
    """Give a function that tells whether nothing listens on a port any more."""

    async def listens_no_more(client: Any) -> bool:
        try:
            await client.models.ListModels(models_pb2.ListModelsRequest(), timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
        return False

    return listens_no_more


async def test_running_streams_end_and_new_ones_are_refused(
    start_service: AnyCall, refusal: AnyCall, gone: AnyCall
) -> None:
    service = await start_service(SLOW, drain_timeout_seconds=20)
    client = service.client
    text = "a text of some forty steps, or a few more"
    answer = asyncio.create_task(client.answer(text))
    await client.replica_when(lambda replica: replica.steps)
    stop = asyncio.create_task(service.server.stop())
    await asyncio.sleep(0)  # until it waits
    draining = (grpc.StatusCode.UNAVAILABLE, "DRAINING", {})
    assert await refusal(client.generate("new")) == draining
    assert await refusal(client.models.ListModels(models_pb2.ListModelsRequest())) == draining
    # Probes are answered, so that orchestrators see it.
    status = await client.health.GetStatus(health_pb2.GetStatusRequest())
    assert (status.serving, status.draining) == (False, True)
    for name in ("", "echo"):
        checked = await client.probe.Check(probe_pb2.HealthCheckRequest(service=name))
        assert checked.status == probe_pb2.HealthCheckResponse.NOT_SERVING
    assert not answer.done()
    assert (await answer).text == text
    await asyncio.wait_for(stop, 10)
    assert await gone(client)


async def test_drain_timeout_ends_what_still_runs(
    start_service: AnyCall, gone: AnyCall, reason_of: AnyCall
) -> None:
    service = await start_service(SLOW, drain_timeout_seconds=0.2)
    client = service.client
    call = client.generate("abc", ignore_eos=True)
    await call.read()
    started = time.monotonic()
    await asyncio.wait_for(service.server.stop(), 10)
    assert 0.2 <= time.monotonic() - started < 5
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_on(call)
    # It can be sent elsewhere.
    assert reason_of(caught.value) == (grpc.StatusCode.UNAVAILABLE, "DRAINING", {})
    assert await gone(client)


async def test_health_watch_does_not_hold_the_drain_up(start_service: AnyCall) -> None:
    service = await start_service(drain_timeout_seconds=30)
    watch = service.client.probe.Watch(probe_pb2.HealthCheckRequest())
    assert (await watch.read()).status == probe_pb2.HealthCheckResponse.SERVING
    stop = asyncio.create_task(service.server.stop())
    assert (await asyncio.wait_for(watch.read(), 10)).status == (
        probe_pb2.HealthCheckResponse.NOT_SERVING
    )
    await asyncio.wait_for(stop, 10)


@pytest.mark.usefixtures("gate")
async def test_stop_while_loading(start_service: AnyCall, gone: AnyCall) -> None:
    service = await start_service(wait_ready=False)
    await asyncio.wait_for(service.server.stop(), 10)
    assert await gone(service.client)


async def test_idle_server_stops_at_once(start_service: AnyCall) -> None:
    service = await start_service(drain_timeout_seconds=30)
    started = time.monotonic()
    await service.server.stop()
    assert time.monotonic() - started < 3
