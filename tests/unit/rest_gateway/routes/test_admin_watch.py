"""Watches, in front of a service whose answers the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import httpx
import pytest
from openvino_server.v1 import models_pb2

WATCH = "/v1/admin/models/watch"
READY = models_pb2.Model(name="m", state=models_pb2.MODEL_STATE_READY)


@pytest.fixture
def key(admin_key: str) -> str:
    """The key that the clients here have."""
    return admin_key


@pytest.fixture
def config(often_alive: Any) -> Any:
    return often_alive


@pytest.fixture
async def watch(live_client: httpx.AsyncClient) -> AsyncIterator[Callable[..., Any]]:
    """Give a function that begins a watch, and gives its lines."""
    responses = []

    async def begin(query: str = "") -> Any:
        response = await live_client.send(
            live_client.build_request("GET", WATCH + query), stream=True
        )
        responses.append(response)
        assert response.status_code == 200
        return response.aiter_lines()

    yield begin
    for response in responses:
        await response.aclose()


async def test_watch(
    events_of: Any, service: Any, watch: Any, read_until: Callable[..., Any]
) -> None:
    service.script = [
        models_pb2.WatchModelsResponse(model=READY),
        models_pb2.WatchModelsResponse(started=True),
        models_pb2.WatchModelsResponse(removed_name="m"),
        asyncio.Event(),
    ]
    lines = await watch("?model=m&model=o/n")
    seen = await read_until(lines, '"removed"')
    first, started, removed = events_of("\n".join(seen))
    assert (first["type"], first["model"]["id"]) == ("model", "m")
    assert started == {"type": "started"}
    assert removed == {"type": "removed", "model": "m"}
    assert service.requests == [models_pb2.WatchModelsRequest(names=["m", "o/n"])]
    assert service.time_remaining is None
    await read_until(lines, ": keep-alive")


async def test_watcher_that_leaves_ends_the_call(
    live_client: httpx.AsyncClient, service: Any, read_until: Callable[..., Any]
) -> None:
    service.script = [models_pb2.WatchModelsResponse(started=True), asyncio.Event()]
    async with live_client.stream("GET", WATCH) as response:
        await read_until(response.aiter_lines(), "started")
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_watch_ends_as_soon_as_the_gateway_drains(
    events_of: Any, app: Any, service: Any, watch: Any, read_until: Callable[..., Any]
) -> None:
    service.script = [models_pb2.WatchModelsResponse(started=True), asyncio.Event()]
    lines = await watch()
    await read_until(lines, "started")
    app.state.draining.set()
    rest = [line async for line in lines]
    assert events_of("\n".join(rest))[0]["error"]["code"] == "server_draining"
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_watch_that_begins_while_the_gateway_drains(
    app: Any, client: httpx.AsyncClient, service: Any
) -> None:
    service.script = [asyncio.Event()]
    app.state.draining.set()
    response = await client.get(WATCH)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "server_draining"


async def test_watch_of_a_service_that_drains(
    events_of: Any, client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    service.script = [
        models_pb2.WatchModelsResponse(started=True),
        failure(grpc.StatusCode.UNAVAILABLE, "shutting down", "DRAINING"),
    ]
    response = await client.get(WATCH)
    assert events_of(response.text)[1]["error"]["code"] == "server_draining"
