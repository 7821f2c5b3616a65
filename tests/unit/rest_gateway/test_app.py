import json
from typing import Any

import httpx
import pytest
import structlog

from rest_gateway.app import create_app
from rest_gateway.telemetry.logging import RequestRecord

CHAT = "/v1/chat/completions"


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert response.headers["x-request-id"]
    assert response.headers["openai-version"] == "2020-10-01"
    assert response.headers["openai-processing-ms"].isdecimal()
    return error


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/docs/x", "/redoc"])
async def test_unknown_routes(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert error_of(response)["code"] == "unknown_url"


async def test_wrong_method_names_the_right_one(client: httpx.AsyncClient) -> None:
    response = await client.get(CHAT)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert error_of(response)["code"] == "method_not_supported"


async def test_unknown_exception_tells_nothing_and_is_logged(
    config: Any, keys: Any, key: str, ask: Any
) -> None:
    class Broken:
        def generate(self, *_args: object) -> None:
            raise RuntimeError("secret detail")

    app = create_app(config, Broken(), keys)  # type: ignore[arg-type]
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://gateway"
        ) as client:
            response = await client.post(
                CHAT,
                json=ask,
                headers={"authorization": f"Bearer {key}", "x-request-id": "abc"},
            )
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal_error"
    assert "secret" not in response.text
    failed = next(line for line in lines if line["event"] == "request_failed")
    assert failed["request_id"] == "abc"
    assert str(failed["exc_info"]) == "secret detail"


async def test_validation_error_is_an_error_object(client: httpx.AsyncClient, ask: Any) -> None:
    response = await client.post(CHAT, json=ask | {"messages": [{"role": "user", "content": 5}]})
    assert response.status_code == 400
    assert error_of(response)["param"] == "messages[0].content"


async def test_access_line(
    client: httpx.AsyncClient, service: Any, events: Any, ask: Any, key: str
) -> None:
    service.script = events.answer("secret answer")
    with structlog.testing.capture_logs() as lines:
        response = await client.post(f"{CHAT}?q=hidden", json=ask, headers={"x-request-id": "abc"})
    assert response.headers["x-request-id"] == "abc"
    [line] = [line for line in lines if line["event"] == "request"]
    assert line.pop("duration_ms") > 0
    assert line.pop("key_id").startswith("key_")
    assert line == {
        "event": "request",
        "log_level": "info",
        "request_id": "abc",
        "method": "POST",
        "path": CHAT,
        "status": 200,
        "model": "smollm",
        "stream": False,
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "finish_reason": "stop",
    }
    assert key not in json.dumps(lines)


async def test_access_line_of_a_failure(client: httpx.AsyncClient, ask: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.post(CHAT, json=ask | {"store": True})
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["status"], line["error"]) == (400, "unsupported_parameter")


@pytest.mark.parametrize("given", ["a b", "x" * 129, "ünï", "a\tb", "", "a/b"])
async def test_malformed_request_ids_are_replaced(client: httpx.AsyncClient, given: str) -> None:
    response = await client.get("/v1/models", headers=[(b"x-request-id", given.encode())])
    made = response.headers["x-request-id"]
    assert made != given
    assert made.startswith("req_")


def test_record_does_not_show_its_clock() -> None:
    assert "_started" not in repr(RequestRecord("a", "GET", "/"))
