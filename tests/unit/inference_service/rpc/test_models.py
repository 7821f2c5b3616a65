"""`ModelService` over a real channel, on a registry whose answers the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from openvino_server.v1 import models_pb2, models_pb2_grpc
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from inference_service.domain import (
    ModelInfo,
    ModelRemoved,
    ModelState,
    PullProgress,
    PullRequest,
    WatchStarted,
)
from inference_service.errors import ModelInUse, ModelLoadFailed, ModelNotFound, ServiceError
from inference_service.rpc.interceptors import Drain, RequestInterceptor
from inference_service.rpc.models import ModelServicer

CREATED = datetime(2026, 1, 2, tzinfo=UTC)


def info(state: ModelState, name: str = "m") -> ModelInfo:
    return ModelInfo(name, state, CREATED)


class ScriptedRegistry:
    """Gives `script`: events are waited for, errors raised; notes what it is asked."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []
        self.given = 0
        self.closed = asyncio.Event()

    async def _play(self) -> AsyncIterator[Any]:
        try:
            for step in self.script:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, ServiceError):
                    raise step
                else:
                    self.given += 1
                    yield step
        finally:
            self.closed.set()

    async def _one(self) -> Any:
        return await anext(self._play(), None)

    async def infos(self) -> Any:
        return self.script

    async def info(self, name: str) -> Any:
        self.asked.append((name,))
        return await self._one()

    def load(self, name: str, *, reload: bool, pinned: bool | None, detach: bool) -> Any:
        self.asked.append((name, reload, pinned, detach))
        return self._play()

    async def unload(self, name: str, *, drain_seconds: float | None) -> Any:
        self.asked.append((name, drain_seconds))
        return await self._one()

    async def delete(self, name: str, *, unload: bool) -> None:
        self.asked.append((name, unload))
        await self._one()

    def watch(self, names: frozenset[str]) -> Any:
        self.asked.append((names,))
        return self._play()

    def pull(self, request: PullRequest) -> Any:
        self.asked.append((request,))
        return self._play()


@pytest.fixture
def registry() -> ScriptedRegistry:
    return ScriptedRegistry()


@pytest.fixture
async def stub(registry: ScriptedRegistry) -> AsyncIterator[models_pb2_grpc.ModelServiceStub]:
    server = grpc.aio.server(interceptors=[RequestInterceptor(("*",), Drain())])
    servicer = ModelServicer(registry)  # type: ignore[arg-type]
    models_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield models_pb2_grpc.ModelServiceStub(channel)
    await server.stop(0)


async def read_all(call: Any) -> list[Any]:
    return [message async for message in call]


async def reason_of(call: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (read_all(call) if hasattr(call, "__aiter__") else call)
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None
    detail = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(detail)
    return detail.reason, dict(detail.metadata)


async def test_list_and_get(registry: ScriptedRegistry, stub: Any) -> None:
    registry.script = [info(ModelState.READY, "a"), info(ModelState.FAILED, "b")]
    listed = await stub.ListModels(models_pb2.ListModelsRequest(), timeout=5)
    assert [model.name for model in listed.models] == ["a", "b"]
    got = await stub.GetModel(models_pb2.GetModelRequest(name="alias"), timeout=5)
    assert got.model.name == "a"
    assert registry.asked == [("alias",)]
    registry.script = [ModelNotFound("x")]
    call = stub.GetModel(models_pb2.GetModelRequest(name="x"), timeout=5)
    assert await reason_of(call) == ("MODEL_NOT_FOUND", {"model": "x"})


async def test_load_streams_each_change(registry: ScriptedRegistry, stub: Any) -> None:
    states = [ModelState.LOADING, ModelState.LOADING, ModelState.READY]
    registry.script = [info(state) for state in states]
    call = stub.LoadModel(models_pb2.LoadModelRequest(name="m"), timeout=5)
    assert [message.model.state for message in [m async for m in call]] == [
        models_pb2.MODEL_STATE_LOADING,
        models_pb2.MODEL_STATE_LOADING,
        models_pb2.MODEL_STATE_READY,
    ]
    assert registry.asked == [("m", False, None, False)]


async def test_load_is_told_what_was_asked(registry: ScriptedRegistry, stub: Any) -> None:
    request = models_pb2.LoadModelRequest(name="m", reload=True, detach=True, pinned=False)
    assert [m async for m in stub.LoadModel(request, timeout=5)] == []
    assert registry.asked == [("m", True, False, True)]


async def test_load_that_fails(registry: ScriptedRegistry, stub: Any) -> None:
    registry.script = [info(ModelState.LOADING), ModelLoadFailed("m", "timeout", "it took long")]
    call = stub.LoadModel(models_pb2.LoadModelRequest(name="m"), timeout=5)
    assert await reason_of(call) == ("MODEL_LOAD_FAILED", {"model": "m", "cause": "timeout"})


@pytest.mark.parametrize("rpc", ["LoadModel", "PullModel", "WatchModels"])
async def test_client_that_leaves_ends_the_wait(
    registry: ScriptedRegistry, stub: Any, rpc: str
) -> None:
    registry.script = [info(ModelState.LOADING), asyncio.Event()]
    fields = {"LoadModel": {"name": "m"}, "PullModel": {"source": "hf:a/b"}, "WatchModels": {}}
    request = getattr(models_pb2, f"{rpc}Request")(**fields[rpc])
    call = getattr(stub, rpc)(request, timeout=30)
    await call.read()
    assert not registry.closed.is_set()
    call.cancel()
    await asyncio.wait_for(registry.closed.wait(), 5)


@pytest.mark.parametrize(
    ("drain_timeout", "seconds"),
    [(None, None), ({"seconds": 0}, 0), ({"seconds": 3, "nanos": 500_000_000}, 3.5)],
)
async def test_unload(
    registry: ScriptedRegistry, stub: Any, drain_timeout: Any, seconds: float | None
) -> None:
    registry.script = [info(ModelState.UNLOADED)]
    request = models_pb2.UnloadModelRequest(name="m", drain_timeout=drain_timeout)
    answer = await stub.UnloadModel(request, timeout=5)
    assert answer.model.state == models_pb2.MODEL_STATE_UNLOADED
    assert registry.asked == [("m", seconds)]


async def test_unload_takes_no_time_before_now(registry: ScriptedRegistry, stub: Any) -> None:
    for timeout in ({"seconds": -1}, {"nanos": -1}, {"seconds": 1, "nanos": -1}):
        request = models_pb2.UnloadModelRequest(name="m", drain_timeout=timeout)
        reason = await reason_of(stub.UnloadModel(request, timeout=5))
        assert reason == ("INVALID_ARGUMENT", {"field": "drain_timeout"})
    assert registry.asked == []


async def test_delete(registry: ScriptedRegistry, stub: Any) -> None:
    await stub.DeleteModel(models_pb2.DeleteModelRequest(name="m", unload=True), timeout=5)
    registry.script = [ModelInUse("m", "it is loaded")]
    call = stub.DeleteModel(models_pb2.DeleteModelRequest(name="m"), timeout=5)
    assert await reason_of(call) == ("MODEL_IN_USE", {"model": "m"})
    assert registry.asked == [("m", True), ("m", False)]


async def test_watch(registry: ScriptedRegistry, stub: Any) -> None:
    registry.script = [
        info(ModelState.READY, "a"),
        WatchStarted(),
        info(ModelState.DRAINING, "a"),
        ModelRemoved("a"),
    ]
    request = models_pb2.WatchModelsRequest(names=["b", "a", "a"])
    first, started, change, removed = [m async for m in stub.WatchModels(request, timeout=5)]
    assert registry.asked == [(frozenset({"a", "b"}),)]
    assert first.model.state == models_pb2.MODEL_STATE_READY
    assert started == models_pb2.WatchModelsResponse(started=True)
    assert change.model.state == models_pb2.MODEL_STATE_DRAINING
    assert removed == models_pb2.WatchModelsResponse(removed_name="a")


@pytest.mark.parametrize("rpc", ["LoadModel", "WatchModels"])
async def test_slow_reader_holds_little(
    registry: ScriptedRegistry,
    stub: Any,
    rpc: str,
    eventually: Callable[..., Awaitable[None]],
) -> None:
    registry.script = [
        ModelInfo("m", ModelState.LOADING, CREATED, stage="x" * 100_000) for _ in range(1000)
    ]
    request = getattr(models_pb2, f"{rpc}Request")()
    if rpc == "LoadModel":
        request.name = "m"
    call = getattr(stub, rpc)(request, timeout=30)
    await call.read()
    taken = -1
    while registry.given > taken:  # until the transport takes no more
        taken = registry.given
        await asyncio.sleep(0.05)
    assert taken < 100, "what is not read is not asked for"
    call.cancel()
    await eventually(registry.closed.is_set)


async def test_pull(registry: ScriptedRegistry, stub: Any) -> None:
    model = ModelInfo("m", ModelState.UNLOADED, CREATED, size_bytes=10)
    registry.script = [PullProgress("looking"), PullProgress("fetching", 4, 10), model]
    request = models_pb2.PullModelRequest(source="hf:a/m", token="hf_secret")
    with capture_logs(processors=[merge_contextvars]) as lines:
        looking, fetching, done = [m async for m in stub.PullModel(request, timeout=5)]
    assert registry.asked == [(PullRequest("hf:a/m", token="hf_secret"),)]
    assert (looking.stage, looking.completed_bytes) == ("looking", 0)
    assert not looking.HasField("total_bytes")
    assert (fetching.stage, fetching.completed_bytes, fetching.total_bytes) == ("fetching", 4, 10)
    assert not fetching.HasField("model")
    assert (done.model.name, done.completed_bytes, done.total_bytes) == ("m", 10, 10)
    assert lines[-1]["source"] == "hf:a/m"
    assert "hf_secret" not in str(lines)


@pytest.mark.parametrize("rpc", ["GetModel", "LoadModel", "UnloadModel", "DeleteModel"])
@pytest.mark.parametrize("name", ["", "x" * 257])
async def test_names_are_checked(
    registry: ScriptedRegistry, stub: Any, rpc: str, name: str
) -> None:
    call = getattr(stub, rpc)(getattr(models_pb2, f"{rpc}Request")(name=name), timeout=5)
    assert await reason_of(call) == ("INVALID_ARGUMENT", {"field": "name"})
    assert registry.asked == []
