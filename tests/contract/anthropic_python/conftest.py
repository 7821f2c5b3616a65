"""Anthropic's own clients of the shared server, over HTTPS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest


@pytest.fixture(scope="session")
def options(api: Any) -> dict[str, Any]:
    """What a user changes, the address and the key; and nothing is hidden by another try."""
    return {
        "base_url": api.base_url.removesuffix("/v1"),
        "api_key": api.key,
        "max_retries": 0,
        "timeout": 20,
    }


@pytest.fixture(scope="session")
def trust(api: Any) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=api.ca)


@pytest.fixture
def claude(options: dict[str, Any], trust: ssl.SSLContext) -> Iterator[anthropic.Anthropic]:
    http = anthropic.DefaultHttpxClient(verify=trust)
    with anthropic.Anthropic(**options, http_client=http) as client:
        yield client


@pytest.fixture
async def async_claude(
    options: dict[str, Any], trust: ssl.SSLContext
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http = anthropic.DefaultAsyncHttpxClient(verify=trust)
    async with anthropic.AsyncAnthropic(**options, http_client=http) as client:
        yield client
