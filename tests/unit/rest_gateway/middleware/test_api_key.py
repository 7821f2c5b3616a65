from typing import Any

import httpx
import pytest

from rest_gateway.auth.key_format import new_key

CHAT = "/v1/chat/completions"


@pytest.fixture
async def stranger(app: Any) -> Any:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CHAT),
        ("GET", CHAT),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/x"),
        ("GET", "/nothing"),
        ("POST", "/v1/health"),
        ("POST", "/health"),
        ("GET", "/v1/health/"),
        ("GET", "//v1/health"),
        ("OPTIONS", CHAT),
    ],
)
async def test_everything_needs_a_key(stranger: Any, method: str, path: str) -> None:
    response = await stranger.request(method, f"http://gateway{path}")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-request-id"]
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v1/health", "/health"])
async def test_health_needs_none(stranger: Any, method: str, path: str) -> None:
    response = await stranger.request(method, path)
    assert response.status_code == 200


async def test_wrong_keys(stranger: Any, key: str) -> None:
    for value in (
        f"Bearer {new_key()}",
        f"Bearer {key.lower()}",
        f"Bearer {key}x",
        f"Basic {key}",
        key,
        "Bearer",
        "Bearer ",
        "Bearer \xff\xfe",
    ):
        headers = [(b"authorization", value.encode("latin-1"))]
        response = await stranger.get("/v1/models", headers=headers)
        assert response.status_code == 401, value
        assert key not in response.text


async def test_two_keys_are_none(stranger: Any, key: str) -> None:
    headers = [("authorization", f"Bearer {key}")] * 2
    assert (await stranger.get("/v1/models", headers=headers)).status_code == 401


async def test_scheme_in_any_case(stranger: Any, key: str) -> None:
    headers = {"authorization": f"bearer {key}"}
    assert (await stranger.get("/v1/models", headers=headers)).status_code == 200


async def test_key_as_anthropics_clients_send_it(stranger: Any, key: str) -> None:
    for headers in ({"x-api-key": key}, {"x-api-key": key, "authorization": f"Bearer {key}"}):
        assert (await stranger.get("/v1/models", headers=headers)).status_code == 200
    for wrong in ("", new_key(), f"Bearer {key}", key.swapcase()):
        response = await stranger.get("/v1/models", headers={"x-api-key": wrong})
        assert response.status_code == 401, wrong


@pytest.mark.parametrize("other", ["", "other"])
async def test_keys_that_differ_are_none(stranger: Any, keys: Any, key: str, other: str) -> None:
    if other:
        other = keys.create("other")[1]
    both = [("authorization", f"Bearer {other}"), ("x-api-key", key)]
    twice = [("x-api-key", other), ("x-api-key", key)]
    for headers in (both, twice):
        response = await stranger.get("/v1/models", headers=headers)
        assert response.status_code == 401
        assert "different API keys" in response.json()["error"]["message"]


async def test_body_is_not_read_without_a_key(app: Any) -> None:
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
        "headers": [(b"content-length", b"999999999")],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_revoked_key(stranger: Any, keys: Any) -> None:
    record, key = keys.create("other")
    headers = {"authorization": f"Bearer {key}"}
    assert (await stranger.get("/v1/models", headers=headers)).status_code == 200
    keys.revoke(record.id)
    assert (await stranger.get("/v1/models", headers=headers)).status_code == 401
