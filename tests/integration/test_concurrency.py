"""Concurrent requests: each gets its own text, and probes are answered meanwhile."""

from __future__ import annotations

import asyncio

import openai
import pytest

from benchmarks.load import over_http, prompts
from benchmarks.responsiveness import probe_under_load
from benchmarks.server import LocalServer
from tests.integration.conftest import MODEL, REPRODUCIBLE

STREAMS = 32
TOKENS = 40


@pytest.fixture
async def client(server: LocalServer):
    http = openai.DefaultAsyncHttpxClient(verify=server.ssl_context())
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http, timeout=300
    ) as opened:
        yield opened


async def complete(client: openai.AsyncOpenAI, text: str) -> str:
    chunks = await client.chat.completions.create(
        model=REPRODUCIBLE,
        messages=[{"role": "user", "content": text}],
        temperature=0,
        max_tokens=TOKENS,
        stream=True,
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


async def test_streams_together_give_what_each_gives_alone(client) -> None:
    texts = prompts(STREAMS, "together")
    together = await asyncio.gather(*(complete(client, text) for text in texts))
    alone = [await complete(client, text) for text in texts]
    assert together == alone
    assert len(set(alone)) > STREAMS // 2


async def test_the_engine_batches(server: LocalServer) -> None:
    """Together they are done in far less time than one after another: here, by the steps."""

    def run(texts: list[str]) -> float:
        key, context = server.api_key, server.ssl_context()
        return over_http(server.base_url, key, context, MODEL, texts, TOKENS).seconds

    together = await asyncio.to_thread(run, prompts(8, "batch"))
    alone = [await asyncio.to_thread(run, [text]) for text in prompts(8, "single")]
    assert together < sum(alone) / 1.5


async def test_probes_are_answered_while_streams_run(server: LocalServer) -> None:
    """The figure is the benchmark's; here, that no probe waits for the engine's many steps."""
    load, probes = await asyncio.to_thread(probe_under_load, server, MODEL, STREAMS, TOKENS)
    assert len(load.completions) == STREAMS
    for took in (probes.http, probes.grpc):
        assert len(took) > 20
        assert sorted(took)[len(took) // 2] < 0.1
        assert max(took) < load.seconds / 4
