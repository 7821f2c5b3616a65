from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2 as probe_pb2
from openvino_server.v1 import health_pb2, models_pb2

from inference_service import __version__

AnyCall = Callable[..., Any]
Status = probe_pb2.HealthCheckResponse
SERVING, NOT_SERVING, SERVICE_UNKNOWN = Status.SERVING, Status.NOT_SERVING, Status.SERVICE_UNKNOWN


class Watched:
    """A health watch, and the statuses that it told."""

    def __init__(self, client: Any, name: str) -> None:
        self._call = client.probe.Watch(probe_pb2.HealthCheckRequest(service=name), timeout=60)

    async def next(self) -> Any:
        return (await asyncio.wait_for(self._call.read(), 20)).status

    async def until(self, wanted: Any) -> None:
        while await self.next() != wanted:
            pass

    def cancel(self) -> None:
        self._call.cancel()


async def check(client: Any, name: str = "") -> Any:
    request = probe_pb2.HealthCheckRequest(service=name)
    return (await client.probe.Check(request, timeout=10)).status


async def test_server_and_models_are_checked_by_name(client: Any) -> None:
    assert await check(client) == SERVING
    statuses = {name: await check(client, name) for name in ("echo", "broken", "unloaded")}
    assert statuses == {"echo": SERVING, "broken": NOT_SERVING, "unloaded": NOT_SERVING}


async def test_unknown_name(client: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(client, "nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watched = Watched(client, "nothing")
    assert await watched.next() == SERVICE_UNKNOWN
    watched.cancel()


async def test_nothing_serves_until_every_model_is_ready(
    start_service: AnyCall, refusal: AnyCall, gate: Any
) -> None:
    service = await start_service({"a": {}, "b": {}}, wait_ready=False)
    client = service.client
    watches = [Watched(client, name) for name in ("", "a", "b")]
    assert [await watched.next() for watched in watches] == [NOT_SERVING] * 3
    assert await check(client) == NOT_SERVING
    assert not (await client.health.GetStatus(health_pb2.GetStatusRequest())).serving
    _, reason, metadata = await refusal(client.generate("x", "a"))
    assert (reason, metadata) == ("MODEL_NOT_READY", {"model": "a", "state": "loading"})
    gate.open()
    assert [await watched.next() for watched in watches] == [SERVING] * 3
    assert await check(client) == SERVING
    for watched in watches:
        watched.cancel()


async def test_model_that_failed_keeps_the_server_from_serving(
    start_service: AnyCall,
) -> None:
    service = await start_service({"good": {}, "bad": {"nonsense": 1}}, wait_ready=False)
    watched = Watched(service.client, "good")
    await watched.until(SERVING)
    watched.cancel()
    assert await check(service.client) == NOT_SERVING
    assert await check(service.client, "bad") == NOT_SERVING
    status = await service.client.health.GetStatus(health_pb2.GetStatusRequest())
    assert not status.serving
    assert (await service.client.answer("good one", "good")).text == "good one"


async def test_server_without_models_does_not_serve(start_service: AnyCall) -> None:
    service = await start_service({"a": {}}, wait_ready=False, load_models=["gone"])
    assert await check(service.client) == NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(service.client, "gone")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND, "it is not in the repository"


@pytest.mark.parametrize("end", ["killed", "failed", "hung"])
async def test_health_follows_a_lost_worker_and_its_replacement(
    start_service: AnyCall, refusal: AnyCall, gate: Any, end: str
) -> None:
    gate.open()
    service = await start_service({"a": {}, "b": {}}, worker_step_timeout_seconds=0.5)
    client = service.client
    pid = (await client.replica("a")).pid
    watches = [Watched(client, name) for name in ("", "a", "b")]
    assert [await watched.next() for watched in watches] == [SERVING] * 3
    gate.shut()
    running = client.generate({"failed": "!fail"}.get(end, "!hang"), "a")
    if end == "killed":
        await client.replica_when(lambda replica: replica.outstanding_requests, "a")
        os.kill(pid, signal.SIGKILL)
    assert await refusal(running) == (
        grpc.StatusCode.UNAVAILABLE,
        "WORKER_LOST",
        {"model": "a"},
    )
    assert [await watched.next() for watched in watches[:2]] == [NOT_SERVING] * 2
    code, reason, metadata = await refusal(client.generate("x", "a"))
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY")
    assert metadata == {"model": "a", "state": "loading"}
    assert (await client.answer("meanwhile", "b")).text == "meanwhile"
    gate.open()
    assert [await watched.next() for watched in watches[:2]] == [SERVING] * 2
    for watched in watches:
        watched.cancel()
    replica = await client.replica("a")
    assert replica.restarts == 1
    assert replica.pid != pid
    assert (await client.answer("again", "a")).text == "again"
    assert (await client.replica("b")).restarts == 0


async def test_status_tells_what_workers_do(start_service: AnyCall) -> None:
    service = await start_service({"a": {}, "b": {"fake_step_seconds": 0.01}})
    client = service.client
    status = await client.health.GetStatus(health_pb2.GetStatusRequest())
    assert (status.serving, status.draining, status.version) == (True, False, __version__)
    a, b = status.replicas
    assert (a.model, a.state, a.steps) == ("a", models_pb2.MODEL_STATE_READY, 0)
    assert not a.HasField("last_step_age")
    os.kill(b.pid, 0)  # there is such a process
    call = client.generate("x", "b", ignore_eos=True)
    await call.read()
    b = await client.replica("b")
    assert b.outstanding_requests == 1
    assert 0 < b.kv_cache_usage <= 1
    assert b.last_step_age.ToTimedelta().total_seconds() < 10
    call.cancel()
    await client.at_rest("b")
    await client.answer("abc", "a")
    a = await client.replica("a")
    assert (a.steps, a.generated_tokens, a.outstanding_requests) == (4, 4, 0)
