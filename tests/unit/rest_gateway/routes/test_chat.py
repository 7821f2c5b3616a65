import asyncio
import json
from typing import Any

import grpc
import httpx
import openai
import pytest
from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.app import create_app

CHAT = "/v1/chat/completions"


def frames(body: str) -> list[Any]:
    assert body.endswith("\n\n")
    parts = body[:-2].split("\n\n")
    assert all(part.startswith("data: ") for part in parts)
    texts = [part.removeprefix("data: ") for part in parts]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


async def test_whole_answer(client: httpx.AsyncClient, service: Any, events: Any, ask: Any) -> None:
    service.script = events.answer("Hel", "lo “you”\n")
    response = await client.post(CHAT, json=ask)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "smollm",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello “you”\n", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


async def test_request_reaches_service(
    client: httpx.AsyncClient, service: Any, events: Any, ask: Any
) -> None:
    service.script = events.answer("x")
    await client.post(CHAT, json=ask | {"temperature": 0}, headers={"x-request-id": "abc:1"})
    [request] = service.requests
    assert request == inference_pb2.GenerateRequest(
        model="smollm",
        chat=chat_pb2.ChatInput(
            messages=[
                chat_pb2.ChatMessage(
                    role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hi")]
                )
            ]
        ),
        sampling=inference_pb2.SamplingParams(temperature=0),
    )
    assert service.metadata[0]["x-request-id"] == "abc:1"
    assert 50 < service.time_remaining < 61  # gRPC rounds deadlines up


async def test_stream(live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any) -> None:
    service.script = events.answer("Hel", "lo")
    response = await live_client.post(CHAT, json=ask | {"stream": True})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    *chunks, done = frames(response.text)
    assert done == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert all("usage" not in chunk for chunk in chunks)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]


async def test_stream_with_usage(
    live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any
) -> None:
    service.script = events.answer("Hello")
    options = {"stream": True, "stream_options": {"include_usage": True}}
    response = await live_client.post(CHAT, json=ask | options)
    *chunks, last, done = frames(response.text)
    assert done == "[DONE]"
    assert [chunk["usage"] for chunk in chunks] == [None] * 3
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 10
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}


async def test_openai_client_reads_both(
    server: Any, key: str, service: Any, events: Any, ask: Any
) -> None:
    service.script = events.answer("Hel", "lo")
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key=key, max_retries=0
    ) as oracle:
        whole = await oracle.chat.completions.create(**ask)
        assert whole.choices[0].message.content == "Hello"
        again = [*ask["messages"], whole.choices[0].message.model_dump()]
        stream = await oracle.chat.completions.create(model="smollm", messages=again, stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(texts) == "Hello"
        service.script = []
        with pytest.raises(openai.APIStatusError) as caught:
            await oracle.chat.completions.create(**ask)
        assert caught.value.status_code == 502


async def test_openai_client_raises_what_fails_a_stream(
    server: Any, key: str, service: Any, events: Any, failure: Any, ask: Any
) -> None:
    lost = failure(grpc.StatusCode.UNAVAILABLE, "send again", "WORKER_LOST")
    service.script = [events.started(), events.text("a"), lost]
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key=key, max_retries=0
    ) as oracle:
        stream = await oracle.chat.completions.create(**ask, stream=True)
        with pytest.raises(openai.APIError) as caught:
            async for _ in stream:
                pass
    assert (caught.value.code, caught.value.type) == ("worker_lost", "server_error")


async def test_stream_gives_each_message_at_once(
    live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any, read_until: Any
) -> None:
    go_on = asyncio.Event()
    service.script = [events.started(), events.text("a", "b"), go_on, events.finished()]
    async with live_client.stream("POST", CHAT, json=ask | {"stream": True}) as response:
        lines = response.aiter_lines()
        seen = await read_until(lines, '"content":"b"')
        assert any('"content":"a"' in line for line in seen)
        go_on.set()
        await read_until(lines, "[DONE]")


@pytest.mark.parametrize("stream", [False, True])
async def test_error_before_first_event_is_a_status(
    live_client: httpx.AsyncClient, service: Any, failure: Any, ask: Any, stream: bool
) -> None:
    service.script = [
        failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "sampling.temperature: must be 0 to 2",
            "INVALID_ARGUMENT",
            {"field": "sampling.temperature"},
        )
    ]
    response = await live_client.post(CHAT, json=ask | {"stream": stream})
    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "message": "temperature: must be 0 to 2",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": "invalid_value",
        }
    }


async def test_error_in_stream_is_its_last_frame(
    live_client: httpx.AsyncClient, service: Any, events: Any, failure: Any, ask: Any
) -> None:
    lost = failure(grpc.StatusCode.UNAVAILABLE, "send again", "WORKER_LOST")
    # Messages and status go out together: none of them may be lost.
    service.script = [events.started(), *map(events.text, "abcdefgh"), lost]
    response = await live_client.post(CHAT, json=ask | {"stream": True})
    assert response.status_code == 200
    *chunks, last = frames(response.text)
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["", *"abcdefgh"]
    assert last == {
        "error": {
            "message": "send again",
            "type": "server_error",
            "param": None,
            "code": "worker_lost",
        }
    }


async def test_error_after_text_fails_a_whole_answer(
    client: httpx.AsyncClient, service: Any, events: Any, failure: Any, ask: Any
) -> None:
    full = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", "QUEUE_FULL")
    service.script = [events.started(), events.text("a"), full]
    response = await client.post(CHAT, json=ask)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"]["code"] == "queue_full"


@pytest.mark.parametrize("stream", [False, True])
async def test_stream_that_ends_early_is_an_error(
    live_client: httpx.AsyncClient, service: Any, events: Any, ask: Any, stream: bool
) -> None:
    service.script = [events.started(), events.text("a")]
    response = await live_client.post(CHAT, json=ask | {"stream": stream})
    assert response.status_code == (200 if stream else 502)
    assert '"code":"bad_gateway"' in response.text
    assert "[DONE]" not in response.text


async def test_deadline_is_504(
    config: Any, upstream: Any, keys: Any, key: str, service: Any, ask: Any
) -> None:
    service.script = [asyncio.Event()]
    hasty = create_app(config.model_copy(update={"request_timeout_seconds": 0.05}), upstream, keys)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(hasty), base_url="http://gateway"
    ) as client:
        response = await client.post(CHAT, json=ask, headers={"authorization": f"Bearer {key}"})
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "timeout"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_other_content_types_are_refused(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post(CHAT, content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_media_type"


async def test_malformed_json_is_400(client: httpx.AsyncClient) -> None:
    response = await client.post(
        CHAT, content=b'{"model": ', headers={"content-type": "application/json; charset=utf-8"}
    )
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("encoding", "status"), [("gzip", 415), ("br, gzip", 415), ("Identity", 200)]
)
async def test_encoded_bodies_are_refused(
    client: httpx.AsyncClient, service: Any, events: Any, ask: Any, encoding: str, status: int
) -> None:
    service.script = events.answer("x")
    response = await client.post(CHAT, json=ask, headers={"content-encoding": encoding})
    assert response.status_code == status
    if status == 415:
        error = response.json()["error"]
        assert error["code"] == "unsupported_media_type"
        assert "not supported" in error["message"]


async def test_long_model_names_are_not_asked_for(
    client: httpx.AsyncClient, service: Any, ask: Any
) -> None:
    response = await client.post(CHAT, json=ask | {"model": "x" * 20_000})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert service.requests == []
