"""A client that leaves frees the engine, streaming or not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

import pytest

from benchmarks.server import LocalServer
from tests.integration.conftest import MODEL, Replicas
from tests.integration.waiting import until


async def send(
    server: LocalServer, *, stream: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request for a long answer over a connection of its own."""
    url = urlsplit(server.base_url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=server.ssl_context())
    body = json.dumps(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Count from one to ten thousand in words."}],
            "temperature": 0,
            "max_tokens": 4000,
            "stream": stream,
        }
    ).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
        % (server.api_key.encode(), len(body), body)
    )
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("stream", [True, False])
async def test_generation_stops_within_two_steps(
    server: LocalServer, replicas: Replicas, stream: bool
) -> None:
    before = await replicas.status()
    reader, writer = await send(server, stream=stream)
    if stream:
        for _ in range(5):
            await reader.readuntil(b"data: ")
    else:

        async def is_generating() -> bool:
            return (await replicas.status()).steps > before.steps + 5

        await until(is_generating, "the generation runs")
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    at_close = await replicas.status()
    assert at_close.outstanding_requests <= 1

    async def is_idle() -> bool:
        return (await replicas.status()).outstanding_requests == 0

    await until(is_idle, "the service let go of the request")
    at_idle = await replicas.status()
    # The worker doesn't step when it has nothing to do, so its count stands still from here on;
    # a request of its own shows that it does.
    assert at_idle.steps <= at_close.steps + 2
    await asyncio.sleep(0.3)
    later = await replicas.status()
    assert later.steps <= at_close.steps + 2
    assert later.pid == before.pid
