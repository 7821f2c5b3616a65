"""OpenAI's own client of the shared server, over HTTPS; it checks every answer's types."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio
import openai
import pytest
from openvino_server.v1 import health_pb2, health_pb2_grpc

from benchmarks.responsiveness import channel_credentials


@pytest.fixture(scope="session")
def options(api: Any) -> dict[str, Any]:
    """What a user changes, the address and the key; and nothing is hidden by another try."""
    return {"base_url": api.base_url, "api_key": api.key, "max_retries": 0, "timeout": 20}


@pytest.fixture(scope="session")
def trust(api: Any) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=api.ca)


@pytest.fixture
async def gpt(options: dict[str, Any], trust: ssl.SSLContext) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client that takes no answer off OpenAI's types."""
    http = openai.DefaultAsyncHttpxClient(verify=trust)
    async with openai.AsyncOpenAI(
        **options, http_client=http, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
async def lenient(
    options: dict[str, Any], trust: ssl.SSLContext
) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client as users have it: for streams of text completions, which OpenAI's types don't fit.

    Their chunks have no finish reason but the last, and the type says that all have one.
    """
    http = openai.DefaultAsyncHttpxClient(verify=trust)
    async with openai.AsyncOpenAI(**options, http_client=http) as client:
        yield client


@pytest.fixture
async def outstanding(api: Any) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
    """Give a function that asks how many requests a model's worker has."""
    async with grpc.aio.secure_channel(
        api.env["OVS_GRPC_ADDRESS"], channel_credentials(api.env)
    ) as channel:
        health = health_pb2_grpc.HealthServiceStub(channel)

        async def ask(model: str) -> int:
            status = await health.GetStatus(health_pb2.GetStatusRequest(), timeout=10)
            return sum(
                replica.outstanding_requests
                for replica in status.replicas
                if replica.model == model
            )

        yield ask
