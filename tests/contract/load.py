"""What a server's models work on, asked as its operator would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc.aio
from openvino_server.v1 import health_pb2, health_pb2_grpc

from benchmarks.responsiveness import channel_credentials


class Load:
    """The load of a server's models."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._health = health_pb2_grpc.HealthServiceStub(channel)

    async def requests(self, model: str) -> int:
        """Count the requests that a model has not ended."""
        status = await self._health.GetStatus(health_pb2.GetStatusRequest(), timeout=20)
        return sum(int(r.outstanding_requests) for r in status.replicas if r.model == model)

    async def none(self, model: str, seconds: float = 10) -> None:
        """Wait until a model has nothing to do."""
        async with asyncio.timeout(seconds):
            while await self.requests(model):  # noqa: ASYNC110 - remote
                await asyncio.sleep(0.05)


@asynccontextmanager
async def load_of(env: Mapping[str, str]) -> AsyncIterator[Load]:
    """Ask the server that `client.env` is of."""
    credentials = channel_credentials(env)
    async with grpc.aio.secure_channel(env["OVS_GRPC_ADDRESS"], credentials) as channel:
        yield Load(channel)
