"""How fast the tiers answer probes while the engine is busy: the event loops never wait for it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.load import Load, complete_all, prompts
from benchmarks.server import LocalServer

_PAUSE_SECONDS = 0.02  # between probes, far more than any orchestrator's rate


@dataclass(frozen=True)
class Probes:
    """Seconds that probes took while streams ran."""

    http: tuple[float, ...]
    grpc: tuple[float, ...]


def probe_under_load(
    server: LocalServer, model: str, streams: int, tokens: int
) -> tuple[Load, Probes]:
    """Run streams, and meanwhile ask `GET /v1/health` and `grpc.health.v1` again and again.

    Raises:
        AssertionError: A probe said that the server doesn't serve.

    """
    return uvloop.run(_run(server, model, streams, tokens))


async def _run(server: LocalServer, model: str, streams: int, tokens: int) -> tuple[Load, Probes]:
    context = server.ssl_context()
    running = asyncio.create_task(
        complete_all(
            server.base_url, server.api_key, context, model, prompts(streams, "probe"), tokens
        )
    )
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as client,
        grpc.aio.secure_channel(
            server.env["OVS_GRPC_ADDRESS"], channel_credentials(server.env)
        ) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)

        async def ask_http() -> None:
            async with client.get(f"{server.base_url}/health") as response:
                assert (response.status, await response.json()) == (200, {"status": "ok"})

        async def ask_grpc() -> None:
            answer = await stub.Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING

        http, over_grpc = await asyncio.gather(
            _repeat(ask_http, running), _repeat(ask_grpc, running)
        )
    return await running, Probes(tuple(http), tuple(over_grpc))


async def _repeat(ask: Callable[[], Awaitable[None]], running: asyncio.Task[Any]) -> list[float]:
    await ask()  # connects
    took = []
    while not running.done():
        started = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - started)
        await asyncio.sleep(_PAUSE_SECONDS)
    return took


def channel_credentials(env: Mapping[str, str]) -> grpc.ChannelCredentials:
    """Return the credentials of a direct gRPC client, from what `client.env` exports."""
    return grpc.ssl_channel_credentials(
        Path(env["OVS_GRPC_CA"]).read_bytes(),
        Path(env["OVS_GRPC_KEY"]).read_bytes(),
        Path(env["OVS_GRPC_CERT"]).read_bytes(),
    )


def percentile_99(seconds: tuple[float, ...]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]
