"""docs/parameters.md is what the gateway does: each of its rows is tried over HTTP."""

from __future__ import annotations

import asyncio
import importlib
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.app import create_app

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
SAMPLES: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("samples.toml").read_text(encoding="utf-8")
)
ROW = re.compile(r"^\| `(\w+)` \| (supported|ignored|refused) \| (.*) \|$", re.MULTILINE)
SECTION = re.compile(r"^## [^\n]*: `POST ([^`]+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# What differs from one answer to the next of the same request.
PASSING = re.compile(rb'"(id|created|created_at|completed_at|item_id|obfuscation)":("[^"]*"|\d+),?')

ROWS = {
    api: ROW.findall(dict(SECTION.findall(PAGE))[sample["route"]])
    for api, sample in SAMPLES.items()
}
ALL = [pytest.param(api, *row, id=f"{api}: {row[0]}") for api, rows in ROWS.items() for row in rows]


class Recorded:
    """The service's end, which notes what it is asked and answers with as little as it may."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def _note(self, request: Any) -> None:
        self.asked.append(request.SerializeToString(deterministic=True))

    def generate(self, request: Any, _request_id: str, _timeout: float) -> Any:
        self._note(request)
        return _Events(max(request.sampling.n, 1))

    async def tokenize(self, request: Any, _request_id: str, _timeout: float) -> Any:
        self._note(request)
        return inference_pb2.TokenizeResponse(token_ids=[1, 2], context_length=100)

    async def embed(self, request: Any, _request_id: str, _timeout: float) -> Any:
        self._note(request)
        count = len(request.texts) + len(request.token_ids)
        vectors = [inference_pb2.Embedding(values=[0.6, 0.8])] * count
        return inference_pb2.EmbedResponse(embeddings=vectors, prompt_tokens=count)

    async def rerank(self, request: Any, _request_id: str, _timeout: float) -> Any:
        self._note(request)
        result = inference_pb2.RerankResult(index=0, relevance_score=0.5)
        return inference_pb2.RerankResponse(results=[result], prompt_tokens=2)


class _Events:
    def __init__(self, completions: int) -> None:
        event = inference_pb2.GenerateEvent
        started = inference_pb2.Started(prompt_tokens=2)
        usage = inference_pb2.Usage(prompt_tokens=2, completion_tokens=1)
        finished = inference_pb2.Finished(reason=inference_pb2.FINISH_REASON_STOP, usage=usage)
        events = [event(started=started)]
        for index in range(completions):
            text = inference_pb2.TextDelta(text="{}")
            events += [event(index=index, text=text), event(index=index, finished=finished)]
        self._left = [inference_pb2.GenerateResponse(events=events)]

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> inference_pb2.GenerateResponse:
        if not self._left:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        return self._left.pop()

    def cancel(self) -> None:
        pass


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def caller(
    recorded: Recorded, config: Any, keys: Any, key: str
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(config, recorded, keys)  # type: ignore[arg-type]
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers
    ) as client:
        yield client
    await app.state.background.close()


def value_of(api: str, name: str, kind: str = "values") -> Any:
    """Look a sample up; text completions and responses share most with chat completions."""
    for source in (api, "chat"):
        if name in SAMPLES[source].get(kind, {}):
            return SAMPLES[source][kind][name]
    if kind == "with":
        return {}
    raise AssertionError(f"samples.toml has no value of {name} for {api}")


def bodies(api: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request without a parameter, and with it."""
    beside = SAMPLES[api].get("with", {}).get(name)
    if beside is None:
        beside = value_of(api, name, "with") if api in ("chat", "completions") else {}
    base = {
        field: value for field, value in (SAMPLES[api]["base"] | beside).items() if value != "UNSET"
    }
    return base, base | {name: value_of(api, name)}


async def send(
    caller: httpx.AsyncClient, recorded: Recorded, api: str, body: dict[str, Any]
) -> tuple[httpx.Response, list[bytes]]:
    """Send a request, and return the answer and what the service was asked for it."""
    recorded.asked.clear()
    response = await caller.post(SAMPLES[api]["route"], json=body)
    return response, list(recorded.asked)


@pytest.mark.parametrize(("api", "name", "support", "text"), ALL)
async def test_row(
    caller: httpx.AsyncClient,
    recorded: Recorded,
    api: str,
    name: str,
    support: str,
    text: str,
) -> None:
    without, having = bodies(api, name)
    if having[name] == "PREVIOUS":
        first, _ = await send(caller, recorded, api, without)
        having[name] = first.json()["id"]
    response, asked = await send(caller, recorded, api, having)
    if support == "refused":
        error = response.json()["error"]
        assert response.status_code == 400, error
        assert f"`{error['message']}`" == text.replace("\\|", "|")
        assert asked == []
        if api != "messages":
            assert (error["code"], error["param"]) == ("unsupported_parameter", name)
        return
    assert response.status_code == 200, response.text
    if name in SAMPLES[api]["base"] and without.get(name) == having[name]:
        raise AssertionError("the sample is the same as what it is compared with")
    plain, plain_asked = await send(caller, recorded, api, without)
    if plain.status_code != 200:
        assert support == "supported"  # it is what makes the request whole
        return
    if support == "ignored":
        assert asked == plain_asked
    else:
        changed = PASSING.sub(b"", response.content) != PASSING.sub(b"", plain.content)
        assert asked != plain_asked or changed


@pytest.mark.parametrize("api", [api for api in SAMPLES if "fields" in SAMPLES[api]])
def test_the_page_has_every_parameter_of_the_client(api: str) -> None:
    module, _, name = SAMPLES[api]["fields"].partition(":")
    known = getattr(importlib.import_module(module), name).__annotations__
    listed = {name for name, _, _ in ROWS[api]}
    assert set(known) - listed == set()


async def test_what_is_not_listed_is_refused(caller: httpx.AsyncClient, recorded: Recorded) -> None:
    for api, sample in SAMPLES.items():
        response, asked = await send(caller, recorded, api, sample["base"] | {"temprature": 1})
        assert response.status_code == 400
        assert asked == []
        if api != "messages":
            assert response.json()["error"]["code"] == "unknown_parameter"
