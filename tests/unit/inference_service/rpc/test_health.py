"""The stock health protocol over a real channel, with states that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2 as stock_pb2
from grpc_health.v1 import health_pb2_grpc as stock_grpc
from openvino_server.v1 import health_pb2

from inference_service.domain import MemoryStatus, ModelInfo, ModelState
from inference_service.rpc.health import HealthServicer, ProbeHealth

CREATED = datetime(2026, 1, 2, tzinfo=UTC)
Response = stock_pb2.HealthCheckResponse


class Known:
    """What a registry says that health asks for."""

    def __init__(self, *infos: ModelInfo, ready: bool = True) -> None:
        self.ready = ready
        self._infos = infos

    def snapshot(self) -> list[ModelInfo]:
        return list(self._infos)

    def replicas(self) -> list[Any]:
        return []

    def memory(self) -> MemoryStatus:
        return MemoryStatus(100, 50, 20)


def model(name: str, state: ModelState, *aliases: str) -> ModelInfo:
    return ModelInfo(name, state, CREATED, aliases=aliases)


@pytest.fixture
def probe() -> ProbeHealth:
    return ProbeHealth()


@pytest.fixture
async def stub(probe: ProbeHealth) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    stock_grpc.add_HealthServicer_to_server(probe, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield stock_grpc.HealthStub(channel)
    await server.stop(0)


async def check(stub: Any, name: str) -> Any:
    return (await stub.Check(stock_pb2.HealthCheckRequest(service=name), timeout=5)).status


@pytest.mark.parametrize("state", ModelState)
async def test_model_and_its_other_names_follow_its_state(
    probe: ProbeHealth, stub: Any, state: ModelState
) -> None:
    probe.update(Known(model("m@2", state, "m", "gpt")))  # type: ignore[arg-type]
    expected = Response.SERVING if state is ModelState.READY else Response.NOT_SERVING
    assert [await check(stub, name) for name in ("m@2", "m", "gpt")] == [expected] * 3
    assert await check(stub, "") == Response.SERVING


async def test_name_is_of_the_version_that_answers_to_it(probe: ProbeHealth, stub: Any) -> None:
    without, latest = model("m", ModelState.UNLOADED), model("m@2", ModelState.READY, "m")
    for infos in ((without, latest), (latest, without)):
        probe.update(Known(*infos))  # type: ignore[arg-type]
        assert await check(stub, "m") == Response.SERVING


async def test_watchers_are_told_of_models_that_go_and_come(probe: ProbeHealth, stub: Any) -> None:
    probe.update(Known(model("m@1", ModelState.READY, "m")))  # type: ignore[arg-type]
    calls = [
        stub.Watch(stock_pb2.HealthCheckRequest(service=name), timeout=20) for name in ("m@1", "m")
    ]

    async def told() -> list[Any]:
        return [(await call.read()).status for call in calls]

    assert await told() == [Response.SERVING] * 2
    probe.update(Known())  # type: ignore[arg-type]
    assert await told() == [Response.SERVICE_UNKNOWN] * 2
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(stub, "m")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    probe.update(Known(model("m@1", ModelState.LOADING, "m")))  # type: ignore[arg-type]
    assert await told() == [Response.NOT_SERVING] * 2
    # A version that takes the bare name over: only its watcher hears of it.
    new = (model("m@1", ModelState.LOADING), model("m@2", ModelState.READY, "m"))
    probe.update(Known(*new))  # type: ignore[arg-type]
    assert (await calls[1].read()).status == Response.SERVING
    silent = asyncio.ensure_future(calls[0].read())
    probe.drain()
    assert (await calls[1].read()).status == Response.NOT_SERVING
    assert not silent.done()
    for call in calls:
        call.cancel()
    silent.cancel()
    await asyncio.wait({silent})


async def test_status_has_the_memory() -> None:
    servicer = HealthServicer(Known(), lambda: False)  # type: ignore[arg-type]
    status = await servicer.GetStatus(health_pb2.GetStatusRequest(), None)  # type: ignore[arg-type]
    assert status.memory == health_pb2.MemoryStatus(
        budget_bytes=100, used_bytes=50, reserved_bytes=20
    )
