"""What requests that change models may say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

LOAD, UNLOAD, PULL, WATCH = (
    f"/v1/admin/models/{name}" for name in ("load", "unload", "pull", "watch")
)


@pytest.fixture
def key(admin_key: str) -> str:
    """The key that the clients here have."""
    return admin_key


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (LOAD, {}, "model"),
        (LOAD, {"model": ""}, "model"),
        (LOAD, {"model": 5}, "model"),
        (LOAD, {"model": "m", "reload": "yes"}, "reload"),
        (LOAD, {"model": "m", "detach": 1}, "detach"),
        (LOAD, {"model": "m", "pinnned": True}, "pinnned"),
        (UNLOAD, {"model": "m", "drain_timeout_seconds": -1}, "drain_timeout_seconds"),
        (UNLOAD, {"model": "m", "drain_timeout_seconds": 1e9}, "drain_timeout_seconds"),
        (UNLOAD, {"model": "m", "drain_timeout_seconds": "5"}, "drain_timeout_seconds"),
        (PULL, {}, "source"),
        (PULL, {"source": ""}, "source"),
        (PULL, {"source": "x" * 2049}, "source"),
        (PULL, {"source": "s", "name": ""}, "name"),
        (PULL, {"source": "s", "name": "x" * 257}, "name"),
        (PULL, {"source": "s", "revision": ""}, "revision"),
        (PULL, {"source": "s", "allow_patterns": [""]}, "allow_patterns[0]"),
        (PULL, {"source": "s", "allow_patterns": ["*"] * 65}, "allow_patterns"),
        (PULL, {"source": "s", "token": ""}, "token"),
        (PULL, {"source": "s", "sha256": {"a": "0" * 63}}, "sha256.a"),
        (PULL, {"source": "s", "sha256": {"a": "x" * 64}}, "sha256.a"),
        (PULL, {"source": "s", "sha256": {"a": "0" * 64 + "\n"}}, "sha256.a"),
        (PULL, {"source": "s", "sha256": dict.fromkeys(map(str, range(4097)), "")}, "sha256"),
        (PULL, {"source": "s", "compression": {}}, "compression.format"),
        (PULL, {"source": "s", "compression": {"format": "int2"}}, "compression.format"),
        (
            PULL,
            {"source": "s", "compression": {"format": "int8", "group_size": 64}},
            "compression.group_size",
        ),
        (
            PULL,
            {"source": "s", "compression": {"format": "int4_sym", "group_size": 0}},
            "compression.group_size",
        ),
    ],
)
async def test_bodies_are_checked(
    client: httpx.AsyncClient, service: Any, path: str, body: dict[str, Any], param: str
) -> None:
    response = await client.post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert service.requests == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{WATCH}?model="),
        ("GET", f"{WATCH}?models=m"),
        ("GET", WATCH + "?" + "&".join(["model=m"] * 129)),
        ("DELETE", "/v1/admin/models/m?unload=perhaps"),
        ("DELETE", "/v1/admin/models/m?force=true"),
    ],
)
async def test_queries_are_checked(
    client: httpx.AsyncClient, service: Any, method: str, path: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == 400
    assert service.requests == []


async def test_names_that_no_model_has(client: httpx.AsyncClient, service: Any) -> None:
    for response in (
        await client.post(LOAD, json={"model": "x" * 257}),
        await client.delete(f"/v1/admin/models/{'x' * 257}"),
        await client.delete("/v1/admin/models/"),
    ):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"
    assert service.requests == []
