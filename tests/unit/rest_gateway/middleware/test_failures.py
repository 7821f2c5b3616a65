from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from rest_gateway.middleware.failures import FailuresMiddleware
from rest_gateway.telemetry.logging import RequestRecord, attach_record


@pytest.fixture
def scope() -> dict[str, Any]:
    scope: dict[str, Any] = {"type": "http", "path": "/"}
    attach_record(scope, RequestRecord("req_1", "GET", "/"))
    return scope


async def receive() -> Any:
    raise AssertionError("read")


async def test_what_fails_in_the_middle_is_not_ended_well(scope: Any) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("oops")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="oops"):
        await FailuresMiddleware(app)(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_client_that_left_gets_no_answer(scope: Any) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ClientDisconnect

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await FailuresMiddleware(app)(scope, receive, send)
    record = scope["rest_gateway.record"]
    assert (record.status, record.error) == (499, "client_disconnected")
