import asyncio
from typing import Any

import httpx
import pytest

from rest_gateway.middleware.header_size import MAX_HEADER_BYTES

START = b"GET /v1/health HTTP/1.1\r\nhost: x\r\n"
OVER = MAX_HEADER_BYTES + 1


async def answer(server: Any, pieces: list[bytes]) -> bytes:
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b"HTTP/1.1 431 (what it said was lost with the connection)"
    finally:
        writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [START + b"x: " + b"a" * OVER + b"\r\n\r\n"],
        [START, b"".join(b"x%d: a\r\n" % number for number in range(OVER // 6)), b"\r\n"],
        [b"GET /" + b"a" * OVER],
        # Headers that never end are not waited for.
        [START + b"x: ", *[b"a" * 9_000] * 12],
        [START, *[b"x: " + b"a" * 9_000 + b"\r\n"] * 12],
        [START + b"x" * OVER],
        # Nor are trailers, which are kept too.
        [
            b"POST /v1/health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            *[b"x: " + b"a" * 9_000 + b"\r\n"] * 12,
        ],
    ],
    ids=["one", "many", "path", "endless value", "endless headers", "endless name", "trailers"],
)
async def test_too_large(server: Any, pieces: list[bytes]) -> None:
    said = await answer(server, pieces)
    assert b"HTTP/1.1 431 " in said
    assert b" 200 OK" not in said


async def test_what_fits_is_answered(live_client: httpx.AsyncClient) -> None:
    headers = {f"x{number}": "a" * 6_000 for number in range(10)}
    for _ in range(3):  # on one connection: each request counts for itself
        assert (await live_client.get("/v1/health", headers=headers)).status_code == 200


async def test_error_is_an_error_object(server: Any) -> None:
    said = await answer(server, [START + b"x: ", *[b"a" * 9_000] * 12])
    if b"lost" not in said:
        assert b'"code":"headers_too_large"' in said


async def test_large_bodies_are_no_headers(live_client: httpx.AsyncClient) -> None:
    response = await live_client.post("/v1/chat/completions", content=b" " * 99_000)
    assert response.status_code == 415


async def test_what_can_not_be_parsed_is_400(server: Any) -> None:
    assert (await answer(server, [b"nonsense\r\n\r\n"])).startswith(b"HTTP/1.1 400 ")
