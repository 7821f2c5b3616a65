from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

CHAT = "/v1/chat/completions"
LIMIT = 100_000


def body_of(size: int) -> bytes:
    start, end = b'{"model": "m", "prompt": "', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


@pytest.mark.parametrize("announced", [True, False])
async def test_body_at_the_limit_passes_and_over_it_is_refused(
    client: httpx.AsyncClient, service: Any, events: Any, announced: bool
) -> None:
    service.script = events.answer("x")
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = body_of(size)
        assert len(body) == size
        response = await client.post(
            CHAT,
            content=body if announced else in_pieces(body),
            headers={"content-type": "application/json"},
        )
        assert response.status_code == status
    assert response.json()["error"]["code"] == "request_too_large"
    assert len(service.requests) == 1


async def test_announced_size_is_refused_before_the_body_is_read(app: Any, key: str) -> None:
    async def receive() -> Any:
        raise AssertionError("read")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": CHAT,
        "query_string": b"",
        "headers": [
            (b"authorization", b"Bearer " + key.encode()),
            (b"content-length", b"100001"),
        ],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 413
