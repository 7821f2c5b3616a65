"""`ModelService` over mutual TLS: what becomes of models while the server runs."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2 as probe_pb2
from openvino_server.v1 import health_pb2, inference_pb2, models_pb2

AnyCall = Callable[..., Any]

UNLOADED = models_pb2.MODEL_STATE_UNLOADED
LOADING = models_pb2.MODEL_STATE_LOADING
READY = models_pb2.MODEL_STATE_READY
FAILED = models_pb2.MODEL_STATE_FAILED


class Models:
    """The RPCs about models, shortly."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._stub = client.models

    def load(self, name: str, **fields: Any) -> Any:
        return self._stub.LoadModel(models_pb2.LoadModelRequest(name=name, **fields), timeout=20)

    async def loaded(self, name: str, **fields: Any) -> list[Any]:
        """Load to the end, and return the states on the way."""
        return [message.model.state async for message in self.load(name, **fields)]

    async def unload(self, name: str, **fields: Any) -> Any:
        request = models_pb2.UnloadModelRequest(name=name, **fields)
        return (await self._stub.UnloadModel(request, timeout=20)).model

    async def get(self, name: str) -> Any:
        request = models_pb2.GetModelRequest(name=name)
        return (await self._stub.GetModel(request, timeout=20)).model

    async def until(self, name: str, state: Any) -> Any:
        async with asyncio.timeout(20):
            while (model := await self.get(name)).state != state:  # noqa: ASYNC110 - remote
                await asyncio.sleep(0.01)
        return model

    def delete(self, name: str, **fields: Any) -> Any:
        return self._stub.DeleteModel(
            models_pb2.DeleteModelRequest(name=name, **fields), timeout=20
        )

    async def names(self) -> list[str]:
        listed = await self._stub.ListModels(models_pb2.ListModelsRequest(), timeout=20)
        return [model.name for model in listed.models]

    async def health(self, name: str) -> Any:
        request = probe_pb2.HealthCheckRequest(service=name)
        return (await self.client.probe.Check(request, timeout=10)).status

    async def pids(self) -> dict[str, int]:
        status = await self.client.health.GetStatus(health_pb2.GetStatusRequest(), timeout=10)
        return {replica.model: replica.pid for replica in status.replicas}


async def read_on(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


@pytest.fixture
async def started(start_service: AnyCall) -> AnyCall:
    """Give a function that starts a service with nothing loaded, and gives its models."""

    async def start(models: dict[str, dict[str, object]], **settings: Any) -> Models:
        service = await start_service(
            models, wait_ready=False, **{"load_models": [], "drain_timeout_seconds": 5} | settings
        )
        return Models(service.client)

    return start


async def test_a_model_is_loaded_used_and_unloaded(started: AnyCall, refusal: AnyCall) -> None:
    models = await started({"echo": {}}, aliases={"gpt": "echo"})
    client = models.client
    assert (await models.get("gpt")).name == "echo"
    assert (await models.get("echo")).format == models_pb2.MODEL_FORMAT_FAKE
    not_ready = (
        grpc.StatusCode.UNAVAILABLE,
        "MODEL_NOT_READY",
        {"model": "echo", "state": "unloaded"},
    )
    assert await refusal(client.generate("x")) == not_ready
    states = await models.loaded("gpt")
    assert (states[0], states[-1]) == (LOADING, READY)
    assert set(states) == {LOADING, READY}
    assert (await client.answer("hello", "gpt")).text == "hello"
    model = await models.get("echo")
    assert (model.ready_replicas, list(model.aliases)) == (1, ["gpt"])
    assert model.HasField("last_use_time")
    assert await models.loaded("echo") == [READY]
    pids = await models.pids()
    unloaded = await models.unload("gpt")
    assert (unloaded.state, unloaded.ready_replicas) == (UNLOADED, 0)
    assert await refusal(client.generate("x")) == not_ready
    with pytest.raises(ProcessLookupError):
        os.kill(pids["echo"], 0)
    assert (await models.unload("echo")).state == UNLOADED


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        ("invalid_files", "invalid_files"),
        ("out_of_memory", "out_of_memory"),
        ("die", "worker_died"),
    ],
)
async def test_failed_load_says_why(
    started: AnyCall, refusal: AnyCall, failure: str, cause: str
) -> None:
    models = await started({"bad": {"fake_load_failure": f'"{failure}"'}})
    code, reason, metadata = await refusal(models.load("bad"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_LOAD_FAILED")
    assert metadata == {"model": "bad", "cause": cause}
    model = await models.get("bad")
    assert model.state == FAILED
    assert model.failure
    assert models_pb2.LoadFailureCause.Name(model.failure_cause).endswith(cause.upper())


async def test_many_that_load_share_one_load(started: AnyCall) -> None:
    models = await started({"echo": {"fake_load_seconds": 0.3}})
    ways = await asyncio.gather(*(models.loaded("echo") for _ in range(8)))
    assert all(states[-1] == READY for states in ways)
    assert (await models.client.replica("echo")).restarts == 0
    assert len(await models.pids()) == 1


async def test_load_that_nobody_waits_for_is_cancelled(started: AnyCall) -> None:
    models = await started({"echo": {"fake_load_seconds": 60}})
    calls = [models.load("echo"), models.load("echo")]
    for call in calls:
        await call.read()
    calls[0].cancel()
    assert (await models.get("echo")).state == LOADING, "another waits for it"
    calls[1].cancel()
    await models.until("echo", UNLOADED)
    assert await models.pids() == {}


async def test_detached_load_goes_on(started: AnyCall) -> None:
    models = await started({"echo": {"fake_load_seconds": 0.3}})
    call = models.load("echo", detach=True)
    assert (await call.read()).model.state == LOADING
    call.cancel()
    await models.until("echo", READY)


async def test_second_load_hears_at_once_of_the_one_that_runs(started: AnyCall) -> None:
    models = await started({"echo": {"fake_load_seconds": 60}})
    first = models.load("echo")
    await first.read()
    await models.until("echo", LOADING)
    second = models.load("echo", detach=True)
    message = await asyncio.wait_for(second.read(), 5)
    assert message.model.state == LOADING
    await models.unload("echo")


async def test_unload_cancels_a_load(started: AnyCall, refusal: AnyCall) -> None:
    models = await started({"echo": {"fake_load_seconds": 60}})
    call = models.load("echo")
    await call.read()
    assert (await models.unload("echo")).state == UNLOADED
    refused = (grpc.StatusCode.ABORTED, "LOAD_CANCELLED", {"model": "echo"})
    assert await refusal(read_on(call)) == refused


async def test_running_requests_end_before_an_unload(started: AnyCall) -> None:
    models = await started({"echo": {"fake_step_seconds": 0.02}})
    await models.loaded("echo")
    text = "a text of some twenty steps"
    answer = asyncio.create_task(models.client.answer(text))
    await models.client.replica_when(lambda replica: replica.steps)
    assert (await models.unload("echo")).state == UNLOADED
    assert (await answer).text == text


async def test_unload_without_time_ends_running_requests(
    started: AnyCall, refusal: AnyCall
) -> None:
    models = await started({"echo": {"fake_step_seconds": 0.02}})
    await models.loaded("echo")
    call = models.client.generate("x", ignore_eos=True)
    await call.read()
    assert (await models.unload("echo", drain_timeout={})).state == UNLOADED
    assert (await refusal(read_on(call)))[0] is grpc.StatusCode.UNAVAILABLE


async def test_reload_takes_the_requests_over(started: AnyCall) -> None:
    models = await started({"echo": {"fake_step_seconds": 0.02}})
    await models.loaded("echo")
    before = await models.pids()
    text = "a text of some twenty steps"
    answer = asyncio.create_task(models.client.answer(text))
    await models.client.replica_when(lambda replica: replica.steps)
    assert (await models.loaded("echo", reload=True))[-1] == READY
    assert (await models.client.answer("x")).text == "x"
    assert (await answer).text == text
    async with asyncio.timeout(20):
        while (pids := await models.pids()) == before:  # noqa: ASYNC110 - remote
            await asyncio.sleep(0.01)
    assert pids["echo"] != before["echo"]


async def test_delete(started: AnyCall, refusal: AnyCall) -> None:
    models = await started({"a": {}, "b": {}})
    await models.loaded("a")
    code, reason, _ = await refusal(models.delete("a"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_IN_USE")
    watch = models.client.probe.Watch(probe_pb2.HealthCheckRequest(service="a"), timeout=20)
    assert (await watch.read()).status == probe_pb2.HealthCheckResponse.SERVING
    await models.delete("a", unload=True)
    assert await models.names() == ["b"]
    assert await refusal(models.delete("a")) == (
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        {"model": "a"},
    )
    while (await watch.read()).status != probe_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
        pass
    watch.cancel()


async def test_health_of_each_name_follows_the_state(started: AnyCall) -> None:
    models = await started({"echo": {}}, aliases={"gpt": "echo"})
    serving = probe_pb2.HealthCheckResponse
    for name in ("echo", "gpt"):
        assert await models.health(name) == serving.NOT_SERVING
    await models.loaded("echo")
    for name in ("echo", "gpt", ""):
        assert await models.health(name) == serving.SERVING
    await models.unload("echo")
    for name in ("echo", "gpt"):
        assert await models.health(name) == serving.NOT_SERVING


async def test_keep_alive_of_a_request(started: AnyCall) -> None:
    models = await started({"echo": {}})
    await models.loaded("echo")
    request = inference_pb2.GenerateRequest(model="echo", prompt="x", keep_alive={})
    async for _ in models.client.inference.Generate(request, timeout=20):
        pass
    await models.until("echo", UNLOADED)


async def test_first_request_loads(started: AnyCall) -> None:
    models = await started({"echo": {"fake_load_seconds": 0.2}}, load_on_request=True)
    answers = await asyncio.gather(*(models.client.answer("hello") for _ in range(5)))
    assert [answer.text for answer in answers] == ["hello"] * 5
    assert (await models.client.replica("echo")).restarts == 0


async def test_pull_from_a_folder(
    started: AnyCall, refusal: AnyCall, tmp_path: Path, write_fake_model: AnyCall
) -> None:
    source = write_fake_model(tmp_path, "there")
    models = await started({"other": {}}, pull_sources=[f"file:{tmp_path}/*"])
    request = models_pb2.PullModelRequest(source=f"file:{source}", name="here")
    steps = [step async for step in models.client.models.PullModel(request, timeout=60)]
    assert steps[-1].model.name == "here"
    assert not any(step.HasField("model") for step in steps[:-1])
    assert await models.names() == ["here", "other"]
    await models.loaded("here")
    assert (await models.client.answer("hello", "here")).text == "hello"
    code, reason, metadata = await refusal(models.client.models.PullModel(request, timeout=60))
    assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "MODEL_EXISTS")
    assert metadata == {"model": "here"}
    shutil.rmtree(source)
    gone = models_pb2.PullModelRequest(source=f"file:{source}", name="new")
    assert (await refusal(models.client.models.PullModel(gone, timeout=60)))[1] == (
        "SOURCE_NOT_FOUND"
    )
    elsewhere = models_pb2.PullModelRequest(source="hf:a/b")
    code, reason, _ = await refusal(models.client.models.PullModel(elsewhere, timeout=60))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SOURCE_NOT_ALLOWED")
