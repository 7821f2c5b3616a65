from typing import Any

import grpc
import httpx
import pytest
from openvino_server.v1 import inference_pb2


@pytest.mark.parametrize("path", ["/v1/tokenize", "/tokenize"])
async def test_tokenize(client: httpx.AsyncClient, service: Any, path: str) -> None:
    service.script = [inference_pb2.TokenizeResponse(token_ids=[5, 6], context_length=99)]
    response = await client.post(path, json={"model": "smollm", "prompt": "Hi"})
    assert response.status_code == 200
    assert response.json() == {
        "count": 2,
        "max_model_len": 99,
        "tokens": [5, 6],
        "token_strs": None,
    }
    assert service.requests == [
        inference_pb2.TokenizeRequest(model="smollm", text="Hi", add_special_tokens=True)
    ]


@pytest.mark.parametrize("path", ["/v1/detokenize", "/detokenize"])
async def test_detokenize(client: httpx.AsyncClient, service: Any, path: str) -> None:
    service.script = [inference_pb2.DetokenizeResponse(text="Hi")]
    response = await client.post(path, json={"model": "smollm", "tokens": [5, 6]})
    assert response.json() == {"prompt": "Hi", "content": "Hi"}
    assert service.requests == [inference_pb2.DetokenizeRequest(model="smollm", token_ids=[5, 6])]


async def test_parameter_at_fault_is_named(
    client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    service.script = [
        failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "token_ids: not in the vocabulary",
            "INVALID_ARGUMENT",
            {"field": "token_ids"},
        )
    ]
    response = await client.post("/v1/detokenize", json={"model": "smollm", "tokens": [5]})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["message"]) == ("tokens", "tokens: not in the vocabulary")


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
async def test_key_is_needed(app: Any, path: str) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as stranger:
        assert (await stranger.post(path, json={})).status_code == 401
