"""Loads, unloads and deletions, in front of a service whose answers the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from openvino_server.v1 import models_pb2

LOAD, UNLOAD, PULL = (f"/v1/admin/models/{name}" for name in ("load", "unload", "pull"))
DONE = "data: [DONE]"


@pytest.fixture
def key(admin_key: str) -> str:
    """The key that the clients here have."""
    return admin_key


@pytest.fixture
def config(often_alive: Any) -> Any:
    return often_alive


def model(state: str, **fields: Any) -> models_pb2.Model:
    number = models_pb2.ModelState.Value(f"MODEL_STATE_{state.upper()}")
    return models_pb2.Model(name="m", state=number, **fields)


def change(state: str, **fields: Any) -> models_pb2.LoadModelResponse:
    return models_pb2.LoadModelResponse(model=model(state, **fields))


async def test_load_waits_until_it_is_ready(client: httpx.AsyncClient, service: Any) -> None:
    service.script = [change("loading"), change("loading", stage="x"), change("ready")]
    response = await client.post(LOAD, json={"model": "m"}, headers={"x-request-id": "abc"})
    assert response.status_code == 200
    body = response.json()
    assert (body["id"], body["object"]) == ("m", "model")
    assert body["openvino_server"]["state"] == "ready"
    assert service.requests == [models_pb2.LoadModelRequest(name="m")]
    assert service.metadata[0]["x-request-id"] == "abc"
    assert service.time_remaining is None, "a load takes its time"


async def test_load_is_told_what_was_asked(client: httpx.AsyncClient, service: Any) -> None:
    service.script = [change("ready")]
    await client.post(LOAD, json={"model": "m", "reload": True, "pinned": False, "detach": None})
    assert service.requests == [models_pb2.LoadModelRequest(name="m", reload=True, pinned=False)]


async def test_load_streams_each_change(
    events_of: Any, client: httpx.AsyncClient, service: Any
) -> None:
    service.script = [change("loading", stage="reading"), change("ready")]
    response = await client.post(LOAD, json={"model": "m", "stream": True})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    first, last, done = events_of(response.text)
    assert (first["object"], first["openvino_server"]["stage"]) == ("model", "reading")
    assert last["openvino_server"]["state"] == "ready"
    assert done == "[DONE]"


async def test_a_slow_load_is_not_silent(
    live_client: httpx.AsyncClient, service: Any, read_until: Callable[..., Any]
) -> None:
    may_go_on = asyncio.Event()
    service.script = [may_go_on, change("ready")]
    async with live_client.stream("POST", LOAD, json={"model": "m", "stream": True}) as response:
        lines = response.aiter_lines()
        await read_until(lines, ": keep-alive")
        may_go_on.set()
        seen = await read_until(lines, DONE)
    assert any('"state":"ready"' in line for line in seen)


async def test_detached_load_is_answered_as_soon_as_it_has_begun(
    client: httpx.AsyncClient, service: Any
) -> None:
    service.script = [change("loading"), asyncio.Event()]
    response = await client.post(LOAD, json={"model": "m", "detach": True})
    assert response.status_code == 202
    assert response.json()["openvino_server"]["state"] == "loading"
    assert service.requests == [models_pb2.LoadModelRequest(name="m", detach=True)]
    await asyncio.wait_for(service.cancelled.wait(), 5)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [LOAD, PULL])
async def test_client_that_leaves_ends_the_call(
    live_client: httpx.AsyncClient, service: Any, path: str, stream: bool
) -> None:
    service.script = [asyncio.Event()]
    body = {"model": "m"} if path == LOAD else {"source": "hf:a/b"}
    asking = asyncio.create_task(live_client.post(path, json=body | {"stream": stream}))
    await asyncio.wait_for(service.started.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 5)


@pytest.mark.parametrize("path", [UNLOAD, "DELETE"])
async def test_client_that_leaves_ends_the_wait(
    live_client: httpx.AsyncClient, service: Any, path: str
) -> None:
    service.script = [asyncio.Event()]
    request = (
        live_client.delete("/v1/admin/models/m")
        if path == "DELETE"
        else live_client.post(path, json={"model": "m"})
    )
    asking = asyncio.create_task(request)
    await asyncio.wait_for(service.started.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_admins_are_told_why_a_load_failed(
    events_of: Any, client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    why = "model 'm' could not be loaded: /srv/m/openvino_model.bin is cut off"
    metadata = {"model": "m", "cause": "invalid_files"}
    failed = failure(grpc.StatusCode.FAILED_PRECONDITION, why, "MODEL_LOAD_FAILED", metadata)
    service.script = [failed]
    response = await client.post(LOAD, json={"model": "m", "stream": True})
    assert response.status_code == 503
    error = {
        "message": why,
        "type": "server_error",
        "param": "model",
        "code": "model_load_failed",
    }
    assert response.json()["error"] == error
    service.script = [change("loading"), failed]
    response = await client.post(LOAD, json={"model": "m", "stream": True})
    assert response.status_code == 200
    assert events_of(response.text)[1:] == [{"error": error}]
    response = await client.post(LOAD, json={"model": "m"})
    assert (response.status_code, response.json()["error"]) == (503, error)


async def test_no_room(client: httpx.AsyncClient, service: Any, failure: Any) -> None:
    metadata = {"model": "m", "needed_bytes": "9", "free_bytes": "5", "budget_bytes": "7"}
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    service.script = [failure(code, "needs 9 bytes", "MEMORY_EXHAUSTED", metadata)]
    response = await client.post(LOAD, json={"model": "m"})
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["error"]["message"] == "needs 9 bytes"


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, models_pb2.UnloadModelRequest(name="m")),
        (
            {"drain_timeout_seconds": 1.5},
            models_pb2.UnloadModelRequest(
                name="m", drain_timeout={"seconds": 1, "nanos": 500_000_000}
            ),
        ),
        (
            {"drain_timeout_seconds": 0},
            models_pb2.UnloadModelRequest(name="m", drain_timeout={}),
        ),
    ],
)
async def test_unload(
    client: httpx.AsyncClient, service: Any, body: dict[str, Any], asked: Any
) -> None:
    service.script = [models_pb2.UnloadModelResponse(model=model("unloaded"))]
    response = await client.post(UNLOAD, json={"model": "m"} | body)
    assert response.json()["openvino_server"]["state"] == "unloaded"
    assert service.requests == [asked]


@pytest.mark.parametrize(
    ("query", "unload"), [("", None), ("?unload=true", True), ("?unload=false", False)]
)
@pytest.mark.parametrize("name", ["m", "owner/m@2"])
async def test_delete(
    client: httpx.AsyncClient, service: Any, name: str, query: str, unload: bool | None
) -> None:
    service.script = [models_pb2.DeleteModelResponse()]
    response = await client.delete(f"/v1/admin/models/{name}{query}")
    assert response.status_code == 200
    assert response.json() == {"id": name, "object": "model", "deleted": True}
    assert service.requests == [models_pb2.DeleteModelRequest(name=name, unload=unload)]


async def test_delete_of_what_is_in_use(
    client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    code = grpc.StatusCode.FAILED_PRECONDITION
    service.script = [failure(code, "it is loaded", "MODEL_IN_USE", {"model": "m"})]
    response = await client.delete("/v1/admin/models/m")
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "model_in_use"
