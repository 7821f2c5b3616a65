"""Models change over REST: a whole server, and the requests that a person would send."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from rest_gateway.auth.keys import KeyStore
from rest_gateway.openapi.admin import admin_operations
from rest_gateway.openapi.answers import models as answers

ADMIN = "/v1/admin/models"


@pytest.fixture
async def client(admin_api: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the operator's."""
    async with httpx.AsyncClient(
        base_url=admin_api.root,
        verify=ssl.create_default_context(cafile=admin_api.ca),
        headers={"authorization": f"Bearer {admin_api.key}"},
        timeout=30,
    ) as client:
        yield client


async def state_of(client: httpx.AsyncClient, name: str) -> str:
    response = await client.get(f"/v1/models/{name}")
    model = answers.Model.model_validate_json(response.content, strict=True)
    return model.openvino_server.state


async def listed(client: httpx.AsyncClient, query: str = "") -> list[str]:
    response = await client.get(f"/v1/models{query}")
    models = answers.ModelList.model_validate_json(response.content, strict=True)
    return [model.id for model in models.data]


async def post(client: httpx.AsyncClient, action: str, **body: Any) -> httpx.Response:
    response = await client.post(f"{ADMIN}/{action}", json=body)
    assert response.status_code in (200, 202), response.text
    return response


async def chat(client: httpx.AsyncClient, model: str, **more: Any) -> httpx.Response:
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": model, "messages": messages} | more
    return await client.post("/v1/chat/completions", json=body)


async def unloaded(client: httpx.AsyncClient, name: str) -> None:
    """Wait until a model is not loaded any more."""
    async with asyncio.timeout(20):
        while await state_of(client, name) != "unloaded":  # noqa: ASYNC110 - remote
            await asyncio.sleep(0.02)


def data_of(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_a_model_comes_answers_and_goes(client: httpx.AsyncClient) -> None:
    await post(client, "unload", model="guest")
    assert {"guest", "gpt"}.isdisjoint(await listed(client))
    assert {"echo", "guest", "gpt"} <= set(await listed(client, "?state=all"))
    refused = await chat(client, "guest")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_not_ready")
    loaded = await post(client, "load", model="guest")
    assert answers.Model.model_validate_json(loaded.content, strict=True).id == "guest"
    assert {"echo", "guest", "gpt"} <= set(await listed(client))
    answer = await chat(client, "gpt")
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    gone = await post(client, "unload", model="gpt", drain_timeout_seconds=5)
    assert gone.json()["openvino_server"]["state"] == "unloaded"


async def test_load_in_steps(client: httpx.AsyncClient) -> None:
    await post(client, "unload", model="guest")
    events = data_of((await post(client, "load", model="guest", stream=True)).text)
    assert events[-1] == "[DONE]"
    states = [event["openvino_server"]["state"] for event in events[:-1]]
    assert (states[0], states[-1]) == ("loading", "ready")


async def test_detached_load(client: httpx.AsyncClient) -> None:
    await post(client, "unload", model="guest")
    begun = await post(client, "load", model="guest", detach=True)
    assert begun.status_code == 202
    async with asyncio.timeout(20):
        while await state_of(client, "guest") != "ready":  # noqa: ASYNC110 - remote
            await asyncio.sleep(0.02)


async def test_keep_alive_of_a_request(client: httpx.AsyncClient) -> None:
    await post(client, "load", model="guest")
    assert (await chat(client, "guest", keep_alive="0s")).status_code == 200
    await unloaded(client, "guest")


async def test_pull_load_and_delete(client: httpx.AsyncClient, admin_api: Any) -> None:
    source = f"file:{admin_api.sources / 'there'}"
    pulled = await post(client, "pull", source=source, name="fresh@1", stream=True)
    *steps, model, done = data_of(pulled.text)
    assert done == "[DONE]"
    assert all(step["object"] == "model.pull" for step in steps)
    answers.Model.model_validate(model, strict=True)
    assert (model["id"], model["openvino_server"]["version"]) == ("fresh@1", "1")
    await post(client, "load", model="fresh")
    one = (await client.get("/v1/models/fresh")).json()
    assert (one["id"], one["root"]) == ("fresh", "fresh@1")
    for name, status in (("fresh@1", 409), ("fresh", 404), ("../echo", 404)):
        path = f"{ADMIN}/{name.replace('/', '%2F')}"
        assert (await client.delete(path)).status_code == status
    deleted = await client.delete(f"{ADMIN}/fresh@1", params={"unload": "true"})
    assert deleted.json() == {"id": "fresh@1", "object": "model", "deleted": True}
    assert "fresh@1" not in await listed(client, "?state=all")
    assert not (admin_api.state_dir / "models" / "fresh@1").exists()


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("hf:OpenVINO/Qwen3-0.6B-int8-ov", 403, "source_not_allowed"),
        ("file:/etc", 403, "source_not_allowed"),
        ("nothing", 400, "invalid_value"),
    ],
)
async def test_sources_are_those_of_the_configuration(
    client: httpx.AsyncClient, source: str, status: int, code: str
) -> None:
    response = await client.post(f"{ADMIN}/pull", json={"source": source, "name": "x"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, "source")


async def test_watch(client: httpx.AsyncClient) -> None:
    await post(client, "unload", model="guest")
    async with client.stream("GET", f"{ADMIN}/watch", params={"model": "guest"}) as response:
        events = (json.loads(line[6:]) async for line in response.aiter_lines() if line[:1] == "d")
        first = await anext(events)
        assert (first["type"], first["model"]["id"]) == ("model", "guest")
        assert await anext(events) == {"type": "started"}
        await post(client, "load", model="guest")
        async for event in events:
            answers.WatchEvent.model_validate(event, strict=True)
            if event["model"]["openvino_server"]["state"] == "ready":
                return
    raise AssertionError("the watch ended")


async def test_openais_client_reads_the_list(admin_api: Any) -> None:
    http = openai.DefaultAsyncHttpxClient(verify=ssl.create_default_context(cafile=admin_api.ca))
    async with openai.AsyncOpenAI(
        base_url=admin_api.base_url,
        api_key=admin_api.key,
        http_client=http,
        _strict_response_validation=True,
    ) as gpt:
        models = [model async for model in gpt.models.list()]
        assert "echo" in {model.id for model in models}
        assert (await gpt.models.retrieve("guest")).id == "guest"


async def test_key_for_requests_alone_changes_nothing(
    client: httpx.AsyncClient, admin_api: Any
) -> None:
    _, key = KeyStore.open(admin_api.state_dir / "keys.json").create("program")
    headers = {"authorization": f"Bearer {key}"}
    async with asyncio.timeout(20):  # the gateway looks for new keys once a second
        while (  # noqa: ASYNC110 - remote
            await client.get("/v1/models", headers=headers)
        ).status_code != 200:
            await asyncio.sleep(0.05)
    for operation in admin_operations():
        path = operation.path.replace("{name:path}", "echo")
        response = await client.request(operation.method, path, headers=headers)
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "insufficient_permissions"
    assert await state_of(client, "echo") == "ready"
