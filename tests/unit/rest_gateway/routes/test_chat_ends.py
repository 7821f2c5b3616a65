import asyncio
from typing import Any

import grpc
import httpx
import pytest

from rest_gateway.app import create_app

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("after_events", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_leaves_cancels_the_rpc(
    server: Any, key: str, service: Any, events: Any, ask: Any, stream: bool, after_events: bool
) -> None:
    never = asyncio.Event()
    service.script = [events.started(), events.text("a"), never] if after_events else [never]
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        call = asyncio.create_task(
            client.post(
                CHAT,
                json=ask | {"stream": stream},
                headers={"authorization": f"Bearer {key}"},
            )
        )
        await service.started.wait()
        call.cancel()
        await asyncio.wait({call})
    async with asyncio.timeout(5):
        await service.cancelled.wait()


async def test_client_that_leaves_mid_stream_cancels_the_rpc(
    live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any, read_until: Any
) -> None:
    service.script = [events.started(), events.text("a"), asyncio.Event()]
    async with live_client.stream("POST", CHAT, json=ask | {"stream": True}) as response:
        await read_until(response.aiter_lines(), '"content":"a"')
    async with asyncio.timeout(5):
        await service.cancelled.wait()


async def test_silence_is_filled_with_comments(
    config: Any,
    upstream: Any,
    keys: Any,
    key: str,
    service: Any,
    events: Any,
    failure: Any,
    ask: Any,
    asgi_call: Any,
) -> None:
    quick = create_app(config.model_copy(update={"sse_keepalive_seconds": 0.01}), upstream, keys)
    go_on = asyncio.Event()
    full = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", "QUEUE_FULL")
    service.script = [go_on, full]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if sum(b": keep-alive" in message.get("body", b"") for message in sent) == 2:
            go_on.set()

    scope, receive = asgi_call(ask | {"stream": True}, key)
    async with asyncio.timeout(5):
        await quick(scope, receive, send)
    assert sent[0]["type"] == "http.response.start"
    assert sent[0]["status"] == 200
    written = b"".join(message.get("body", b"") for message in sent)
    assert written.startswith(b": keep-alive\n\n: keep-alive\n\n")
    assert b'"code":"queue_full"' in written
    assert b"[DONE]" not in written
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("stream", [False, True])
async def test_drain_that_is_over_says_so(
    app: Any, key: str, service: Any, events: Any, ask: Any, stream: bool, asgi_call: Any
) -> None:
    arrived = asyncio.Event()
    service.script = [events.started(), events.text("a"), asyncio.Event()]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if b'"content":"a"' in message.get("body", b""):
            arrived.set()

    scope, receive = asgi_call(ask | {"stream": stream}, key)
    task = asyncio.create_task(app(scope, receive, send))
    await (arrived if stream else service.started).wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert sent[0]["status"] == (200 if stream else 503)
    assert b'"code":"server_draining"' in b"".join(message.get("body", b"") for message in sent)
    async with asyncio.timeout(5):
        await service.cancelled.wait()
