"""The routes of one call: embeddings and reranking."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import httpx
import pytest
from openvino_server.v1 import inference_pb2

EMBEDDINGS, RERANK = "/v1/embeddings", "/v1/rerank"
ASK = {
    EMBEDDINGS: {"model": "m", "input": ["a", "b"]},
    RERANK: {"model": "m", "query": "q", "documents": ["a", "b"]},
}


@pytest.fixture
def service(service: Any, failure: Any) -> Any:
    """A service that gives `answer`, fails with it, or waits for it."""

    async def answer(request: Any, context: Any) -> Any:
        service.requests.append(request)
        service.time_remaining = context.time_remaining()
        context.add_done_callback(lambda _: service.done.set())
        service.started.set()
        if isinstance(service.answer, failure):
            await service.answer.abort(context)
        if isinstance(service.answer, asyncio.Event):
            await service.answer.wait()
        return service.answer

    service.done = asyncio.Event()
    service.Embed = service.Rerank = answer
    return service


async def test_embeddings(client: httpx.AsyncClient, service: Any) -> None:
    vectors = [inference_pb2.Embedding(values=[1, 0]), inference_pb2.Embedding(values=[0, 1])]
    service.answer = inference_pb2.EmbedResponse(embeddings=vectors, prompt_tokens=3)
    answer = await client.post(EMBEDDINGS, json=ASK[EMBEDDINGS])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert [entry["embedding"] for entry in answer.json()["data"]] == [[1, 0], [0, 1]]
    assert service.requests == [inference_pb2.EmbedRequest(model="m", texts=["a", "b"])]
    assert service.time_remaining > 2, "not the short deadline of health checks"


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
async def test_rerank(client: httpx.AsyncClient, service: Any, path: str) -> None:
    result = inference_pb2.RerankResult(index=1, relevance_score=0.5)
    service.answer = inference_pb2.RerankResponse(results=[result], prompt_tokens=3)
    answer = await client.post(path, json=ASK[RERANK])
    assert answer.json()["results"] == [{"index": 1, "relevance_score": 0.5}]
    assert answer.json()["id"].startswith("rerank-")


async def test_failures_are_error_objects(
    client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    metadata = {"field": "texts[1]", "prompt_tokens": "300", "context_length": "256"}
    message = "texts[1] has 300 tokens; the model takes 256"
    code, reason = grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED"
    service.answer = failure(code, message, reason, metadata)
    answer = await client.post(EMBEDDINGS, json=ASK[EMBEDDINGS])
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "input[1] has 300 tokens; the model takes 256",
        "type": "invalid_request_error",
        "param": "input[1]",
        "code": "context_length_exceeded",
    }


@pytest.mark.parametrize("path", [EMBEDDINGS, RERANK])
async def test_only_json_is_read(client: httpx.AsyncClient, service: Any, path: str) -> None:
    answer = await client.post(path, content=b"model=m", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert not service.requests


@pytest.mark.parametrize("path", [EMBEDDINGS, RERANK])
async def test_a_client_that_leaves_ends_the_call(
    live_client: httpx.AsyncClient, service: Any, path: str
) -> None:
    service.answer = asyncio.Event()
    asking = asyncio.create_task(live_client.post(path, json=ASK[path]))
    await asyncio.wait_for(service.started.wait(), 10)
    asking.cancel()
    await asyncio.wait_for(service.done.wait(), 10)
    assert not service.answer.is_set()
