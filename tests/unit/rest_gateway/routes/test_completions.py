import asyncio
import json
from typing import Any

import grpc
import httpx
import pytest

COMPLETIONS = "/v1/completions"


async def test_each_prompt_is_a_request(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hel", "lo")
    response = await client.post(
        COMPLETIONS, json={"model": "smollm", "prompt": ["a", "b", "c"], "seed": 5}
    )
    assert response.status_code == 200
    body = response.json()
    assert body.pop("id").startswith("cmpl-")
    assert isinstance(body.pop("created"), int)
    assert body.pop("usage")["total_tokens"] == 3 * (7 + 3)
    choice = {"text": "Hello", "logprobs": None, "finish_reason": "stop"}
    assert body == {
        "object": "text_completion",
        "model": "smollm",
        "system_fingerprint": None,
        "choices": [{"index": index} | choice for index in range(3)],
    }
    assert sorted(request.prompt for request in service.requests) == ["a", "b", "c"]
    assert {request.sampling.seed for request in service.requests} == {5}
    assert all(50 < service.time_remaining < 61 for _ in service.requests)


async def test_stream(live_client: httpx.AsyncClient, service: Any, events: Any) -> None:
    service.script = events.answer("x")
    response = await live_client.post(
        COMPLETIONS, json={"model": "smollm", "prompt": [[1], [2]], "stream": True}
    )
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *frames, done = response.text.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    choices = [json.loads(frame.removeprefix("data: "))["choices"][0] for frame in frames]
    assert sorted((choice["index"], choice["text"]) for choice in choices) == [
        (0, ""),
        (0, "x"),
        (1, ""),
        (1, "x"),
    ]


@pytest.mark.parametrize(
    ("prompt", "param"), [("a", {"prompt"}), (["a", "b"], {"prompt[0]", "prompt[1]"})]
)
async def test_error_names_the_prompt(
    client: httpx.AsyncClient, service: Any, failure: Any, prompt: Any, param: set[str]
) -> None:
    service.script = [
        failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "prompt: is empty",
            "INVALID_ARGUMENT",
            {"field": "prompt"},
        )
    ]
    response = await client.post(COMPLETIONS, json={"model": "smollm", "prompt": prompt})
    assert response.status_code == 400
    assert response.json()["error"]["param"] in param


async def test_client_that_leaves_ends_every_prompt(
    live_client: httpx.AsyncClient, service: Any, events: Any, read_until: Any
) -> None:
    service.script = [events.started(), events.text("a"), asyncio.Event()]
    body = {"model": "smollm", "prompt": ["a", "b"], "stream": True}
    async with live_client.stream("POST", COMPLETIONS, json=body) as response:
        await read_until(response.aiter_lines(), '"text":"a"')
    async with asyncio.timeout(10):
        await service.cancelled.wait()
