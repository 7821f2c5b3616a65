import asyncio
import json
from typing import Any

import grpc
import httpx
import pytest
from openvino_server.v1 import inference_pb2

MESSAGES = "/v1/messages"
COUNT = f"{MESSAGES}/count_tokens"


@pytest.fixture
def ask(ask: dict[str, Any]) -> dict[str, Any]:
    return ask | {"max_tokens": 9}


async def test_whole_message(
    client: httpx.AsyncClient, service: Any, events: Any, ask: Any
) -> None:
    service.script = events.answer("Hel", "lo")
    headers = {"x-request-id": "abc:1", "anthropic-version": "2023-06-01", "anthropic-beta": "x"}
    response = await client.post(MESSAGES, json=ask, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["request-id"] == response.headers["x-request-id"] == "abc:1"
    body = response.json()
    assert body["id"].startswith("msg_")
    assert body["content"] == [{"type": "text", "text": "Hello"}]
    [request] = service.requests
    assert request.sampling.max_tokens == 9
    assert service.metadata[0]["x-request-id"] == "abc:1"


async def test_stream(client: httpx.AsyncClient, service: Any, events: Any, ask: Any) -> None:
    service.script = events.answer("Hel", "lo")
    response = await client.post(MESSAGES, json=ask | {"stream": True})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    names = [line for line in response.text.split("\n") if line.startswith("event: ")]
    assert names == [
        "event: message_start",
        "event: content_block_start",
        "event: content_block_delta",
        "event: content_block_delta",
        "event: content_block_stop",
        "event: message_delta",
        "event: message_stop",
    ]


async def test_thinking_can_be_left_out(
    client: httpx.AsyncClient, service: Any, events: Any, ask: Any
) -> None:
    thought = inference_pb2.GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text="Hm."))
    message = inference_pb2.GenerateResponse(events=[thought])
    service.script = [events.started(), message, events.finished()]
    for stream in (False, True):
        for display, shown in (("omitted", False), ("summarized", True)):
            thinking = {"type": "adaptive", "display": display}
            response = await client.post(
                MESSAGES, json=ask | {"thinking": thinking, "stream": stream}
            )
            assert ("Hm." in response.text) == shown
            assert "thinking" in response.text


async def test_failure_before_the_stream(
    client: httpx.AsyncClient, service: Any, failure: Any, ask: Any
) -> None:
    service.script = [
        failure(grpc.StatusCode.NOT_FOUND, "no such", "MODEL_NOT_FOUND", {"model": "smollm"})
    ]
    for path, body in (
        (MESSAGES, ask),
        (MESSAGES, ask | {"stream": True}),
        (COUNT, {name: ask[name] for name in ("model", "messages")}),
    ):
        response = await client.post(path, json=body)
        assert response.status_code == 404
        assert response.json() == {
            "type": "error",
            "error": {
                "type": "not_found_error",
                "message": "The model 'smollm' does not exist.",
                "details": {"error_code": "model_not_found"},
            },
            "request_id": response.headers["request-id"],
        }


async def test_failure_in_the_stream(
    client: httpx.AsyncClient, service: Any, events: Any, failure: Any, ask: Any
) -> None:
    lost = failure(grpc.StatusCode.UNAVAILABLE, "it died", "WORKER_LOST", {"model": "smollm"})
    service.script = [events.started(), events.text("Hel"), lost]
    response = await client.post(MESSAGES, json=ask | {"stream": True})
    assert response.status_code == 200
    name, data = response.text.removesuffix("\n\n").split("\n\n")[-1].split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "error",
        "error": {
            "type": "api_error",
            "message": "it died",
            "details": {"error_code": "worker_lost"},
        },
        "request_id": response.headers["request-id"],
    }


async def test_full_queue(client: httpx.AsyncClient, service: Any, failure: Any, ask: Any) -> None:
    service.script = [failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "QUEUE_FULL")]
    response = await client.post(MESSAGES, json=ask)
    assert response.status_code == 529
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"] == {
        "type": "overloaded_error",
        "message": "full",
        "details": {"error_code": "queue_full"},
    }


async def test_field_at_fault_is_named_as_the_client_sent_it(
    client: httpx.AsyncClient, service: Any, failure: Any, ask: Any
) -> None:
    field = "chat.tools[0].parameters_json"
    service.script = [
        failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{field} does not compile",
            "INVALID_ARGUMENT",
            {"field": field},
        )
    ]
    tool = {"name": "f", "input_schema": {"type": "no such"}}
    for path, body in ((MESSAGES, ask), (COUNT, {n: ask[n] for n in ("model", "messages")})):
        response = await client.post(path, json=body | {"tools": [tool]})
        assert response.status_code == 400
        assert response.json()["error"] == {
            "type": "invalid_request_error",
            "message": "tools.0.input_schema does not compile",
            "details": {"error_code": "invalid_value"},
        }


async def test_what_never_reaches_the_route_has_anthropics_shape(
    client: httpx.AsyncClient, ask: Any
) -> None:
    huge = {"content-length": "999999999", "content-type": "application/json"}
    for method, path, headers, status, kind in (
        ("POST", MESSAGES, {"authorization": "Bearer x"}, 401, "authentication_error"),
        ("POST", MESSAGES, huge, 413, "request_too_large"),
        ("POST", MESSAGES, {"content-type": "text/plain"}, 415, "invalid_request_error"),
        ("POST", f"{MESSAGES}/batches", {}, 404, "not_found_error"),
        ("GET", MESSAGES, {}, 405, "invalid_request_error"),
    ):
        response = await client.request(method, path, headers=headers)
        assert response.status_code == status
        body = response.json()
        assert (body["type"], body["error"]["type"]) == ("error", kind)
        assert body["request_id"] == response.headers["request-id"]


async def test_count_tokens(client: httpx.AsyncClient, service: Any, ask: Any) -> None:
    service.script = [inference_pb2.TokenizeResponse(token_ids=[5, 6, 7], context_length=64)]
    del ask["max_tokens"]
    response = await client.post(COUNT, json=ask | {"system": "Be brief."})
    assert response.status_code == 200
    assert response.json() == {"input_tokens": 3}
    [request] = service.requests
    assert [part.text for m in request.chat.messages for part in m.content] == ["Be brief.", "Hi"]


@pytest.mark.parametrize("stream", [False, True])
async def test_client_that_leaves_ends_the_generation(
    live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any, stream: bool
) -> None:
    service.script = [events.started(), events.text("x"), asyncio.Event()]
    call = asyncio.create_task(live_client.post(MESSAGES, json=ask | {"stream": stream}))
    await asyncio.wait_for(service.started.wait(), 10)
    call.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 10)
