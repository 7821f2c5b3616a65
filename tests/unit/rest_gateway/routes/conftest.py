import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

CHAT = "/v1/chat/completions"


def asgi_call(body: Any, key: str) -> tuple[Any, Any]:
    """A scope and `receive` of a client that sends a request and stays."""
    sent = iter([{"type": "http.request", "body": json.dumps(body).encode()}])

    async def receive() -> Any:
        for message in sent:
            return message
        return await asyncio.Event().wait()

    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": CHAT,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return scope, receive


async def read_until(lines: Any, wanted: str) -> list[str]:
    seen = []
    async for line in lines:
        seen.append(line)
        if wanted in line:
            return seen
    raise AssertionError(f"{wanted} did not come: {seen}")


@pytest.fixture(name="asgi_call")
def give_asgi_call() -> Callable[..., tuple[Any, Any]]:
    return asgi_call


@pytest.fixture(name="read_until")
def give_read_until() -> Callable[..., Any]:
    return read_until


def events_of(text: str) -> list[Any]:
    """What the lines of data hold, as JSON where it is that."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data:")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.fixture(name="events_of")
def give_events_of() -> Callable[[str], list[Any]]:
    return events_of


@pytest.fixture
def often_alive(config: Any) -> Any:
    """A configuration with comments often, so that a test need not wait for one."""
    return config.model_copy(update={"sse_keepalive_seconds": 0.02})
