"""A request for a model that the service loads first: it waits for the load, and is not silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest

CHAT = "/v1/chat/completions"


@pytest.fixture
def config(often_alive: Any) -> Any:
    return often_alive


@pytest.fixture
def failed_load(failure: Any) -> Any:
    return failure(
        grpc.StatusCode.FAILED_PRECONDITION,
        "model 'smollm' could not be loaded: /srv/smollm is damaged",
        "MODEL_LOAD_FAILED",
        {"model": "smollm", "cause": "invalid_files"},
    )


async def test_stream_has_comments_while_the_model_loads(
    live_client: httpx.AsyncClient,
    service: Any,
    events: Any,
    ask: Any,
    read_until: Callable[..., Any],
) -> None:
    loaded = asyncio.Event()
    service.script = [loaded, *events.answer("Hello")]
    async with live_client.stream("POST", CHAT, json=ask | {"stream": True}) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        seen = [line for line in await read_until(lines, ": keep-alive") if line]
        assert seen == [": keep-alive"]
        loaded.set()
        assert any("Hello" in line for line in await read_until(lines, "data: [DONE]"))


async def test_stream_tells_of_a_load_that_fails(
    live_client: httpx.AsyncClient,
    service: Any,
    failed_load: Any,
    ask: Any,
    read_until: Callable[..., Any],
) -> None:
    loaded = asyncio.Event()
    service.script = [loaded, failed_load]
    async with live_client.stream("POST", CHAT, json=ask | {"stream": True}) as response:
        lines = response.aiter_lines()
        await read_until(lines, ": keep-alive")
        loaded.set()
        rest = [line async for line in lines if line.startswith("data:")]
    assert len(rest) == 1
    assert '"code":"model_load_failed"' in rest[0]
    assert "/srv" not in rest[0]


async def test_whole_answer_waits(
    live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any
) -> None:
    loaded = asyncio.Event()
    service.script = [loaded, *events.answer("Hello")]
    asking = asyncio.create_task(live_client.post(CHAT, json=ask))
    await asyncio.wait_for(service.started.wait(), 5)
    assert service.time_remaining > 50, "the time of a whole request, load and all"
    loaded.set()
    answer = (await asking).json()
    assert answer["choices"][0]["message"]["content"] == "Hello"


async def test_whole_answer_of_a_load_that_fails(
    client: httpx.AsyncClient, service: Any, failed_load: Any, ask: Any
) -> None:
    service.script = [failed_load]
    response = await client.post(CHAT, json=ask)
    assert response.status_code == 503
    assert response.headers["x-should-retry"] == "false"  # its files have to be mended
    assert response.json()["error"] == {
        "message": "The model 'smollm' could not be loaded; the server's log says why "
        "(invalid files).",
        "type": "server_error",
        "param": "model",
        "code": "model_load_failed",
    }


async def test_client_that_leaves_ends_the_wait(
    live_client: httpx.AsyncClient, service: Any, ask: Any
) -> None:
    service.script = [asyncio.Event()]
    asking = asyncio.create_task(live_client.post(CHAT, json=ask))
    await asyncio.wait_for(service.started.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 5)
