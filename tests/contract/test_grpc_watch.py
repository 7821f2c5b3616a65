"""`WatchModels` over mutual TLS, and the end of it and of other waits when the server drains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from openvino_server.v1 import models_pb2

AnyCall = Callable[..., Any]

READY = models_pb2.MODEL_STATE_READY
UNLOADED = models_pb2.MODEL_STATE_UNLOADED
DRAINING = (grpc.StatusCode.UNAVAILABLE, "DRAINING", {})


def watch(client: Any, *names: str) -> Any:
    return client.models.WatchModels(models_pb2.WatchModelsRequest(names=names), timeout=60)


async def start_of(call: Any) -> list[str]:
    """Read what a watch tells of the start: the models' names."""
    names = []
    while not (message := await asyncio.wait_for(call.read(), 20)).started:
        names.append(message.model.name)
    return names


async def until(call: Any, name: str, state: Any) -> None:
    while True:
        message = await asyncio.wait_for(call.read(), 20)
        if (message.model.name, message.model.state) == (name, state):
            return


async def load(client: Any, name: str) -> None:
    async for _ in client.models.LoadModel(models_pb2.LoadModelRequest(name=name), timeout=20):
        pass


@pytest.fixture
async def service(start_service: AnyCall) -> Any:
    """A service with nothing loaded, which would let requests end for long."""
    return await start_service(
        {"a": {}, "b": {}, "slow": {"fake_load_seconds": 60}},
        wait_ready=False,
        load_models=[],
        drain_timeout_seconds=60,
    )


async def test_watch_tells_the_start_and_each_change(service: Any) -> None:
    client = service.client
    everything, of_b = watch(client), watch(client, "b", "nothing")
    assert await start_of(everything) == ["a", "b", "slow"]
    assert await start_of(of_b) == ["b"]
    await load(client, "a")
    await until(everything, "a", READY)
    await load(client, "b")
    first = await asyncio.wait_for(of_b.read(), 20)
    assert first.model.name == "b", "a is not watched"
    await until(of_b, "b", READY)
    await client.models.DeleteModel(
        models_pb2.DeleteModelRequest(name="b", unload=True), timeout=20
    )
    while not (message := await asyncio.wait_for(of_b.read(), 20)).HasField("removed_name"):
        assert message.model.name == "b"
    assert message.removed_name == "b"
    everything.cancel()
    of_b.cancel()


async def test_reader_that_is_behind_gets_the_latest(service: Any) -> None:
    client = service.client
    behind = watch(client, "a")
    assert await start_of(behind) == ["a"]
    for _ in range(5):
        await load(client, "a")
        request = models_pb2.UnloadModelRequest(name="a")
        await client.models.UnloadModel(request, timeout=20)
    await until(behind, "a", UNLOADED)
    behind.cancel()


async def test_waits_end_as_soon_as_the_server_drains(
    service: Any, refusal: AnyCall, reason_of: AnyCall
) -> None:
    client = service.client
    watching = watch(client)
    await start_of(watching)
    loading = client.models.LoadModel(models_pb2.LoadModelRequest(name="slow"), timeout=60)
    await loading.read()
    began = time.monotonic()
    stop = asyncio.create_task(service.server.stop())
    for call in (watching, loading):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on(call)
        assert reason_of(caught.value) == DRAINING
    await asyncio.wait_for(stop, 20)
    assert time.monotonic() - began < 10


async def read_on(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_watch_is_not_for_strangers(
    service: Any, connect: AnyCall, credentials: AnyCall, refusal: AnyCall
) -> None:
    stranger = connect(service.port, credentials("client"))
    assert (await refusal(watch(stranger)))[1] == "CLIENT_NOT_ALLOWED"
