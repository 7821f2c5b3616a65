"""What keys may do: every route has its scope, and a key without it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from rest_gateway.auth.scopes import SCOPES
from rest_gateway.middleware.api_key import OPEN_PATHS
from rest_gateway.middleware.permission import Permission

WANTED = {
    ("GET", "/v1/models"): "models:read",
    ("GET", "/v1/models/x"): "models:read",
    ("POST", "/v1/chat/completions"): "inference",
    ("POST", "/v1/messages"): "inference",
    ("GET", "/v1/responses/resp_1"): "inference",
    ("POST", "/v1/embeddings"): "inference",
    ("POST", "/rerank"): "inference",
    ("POST", "/tokenize"): "inference",
    ("POST", "/v1/admin/models/load"): "models:write",
    ("POST", "/v1/admin/models/unload"): "models:write",
    ("POST", "/v1/admin/models/pull"): "models:write",
    ("GET", "/v1/admin/models/watch"): "models:write",
    ("DELETE", "/v1/admin/models/x"): "models:write",
}


def permissions(app: Any) -> Iterator[tuple[str, list[str]]]:
    """Each route's path, and the scopes that it asks for."""
    for route in iter_route_contexts(app.routes):
        asked = [dependency.dependency for dependency in route.dependencies or ()]
        yield route.path, [each.scope for each in asked if isinstance(each, Permission)]


def test_every_route_has_one_scope_or_is_open(app: Any) -> None:
    found = dict(permissions(app))
    assert len(found) > 20
    for path, scopes in found.items():
        if path in OPEN_PATHS:
            assert scopes == [], path
        else:
            assert len(scopes) == 1, path
            assert scopes[0] in SCOPES, path


async def call(app: Any, key: str, method: str, path: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers
    ) as client:
        return await client.request(method, path)


@pytest.mark.parametrize(("method", "path"), WANTED)
async def test_key_without_the_scope_is_refused(
    app: Any, keys: Any, method: str, path: str
) -> None:
    wanted = WANTED[method, path]
    _, key = keys.create("other", [scope for scope in SCOPES if scope != wanted])
    response = await call(app, key, method, path)
    assert response.status_code == 403
    error = response.json()["error"]
    if path == "/v1/messages":
        assert error["type"] == "permission_error"
        assert error["details"]["error_code"] == "insufficient_permissions"
        return
    lacks = f"The API key has insufficient permissions for this. It lacks the scope: {wanted}"
    assert error == {
        "message": lacks,
        "type": "permission_error",
        "param": None,
        "code": "insufficient_permissions",
    }


@pytest.mark.parametrize(("method", "path"), WANTED)
async def test_key_with_the_scope_alone_is_enough(
    app: Any, keys: Any, method: str, path: str
) -> None:
    if path.endswith("/watch"):
        method, path = "POST", "/v1/admin/models/load"  # it has no end
    _, key = keys.create("other", [WANTED[method, path]])
    assert (await call(app, key, method, path)).status_code not in (401, 403)


async def test_body_is_not_read_of_who_may_not(app: Any, keys: Any) -> None:
    _, key = keys.create("reader", ["models:read"])

    async def receive() -> Any:
        raise AssertionError("read")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/admin/models/pull",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 403
