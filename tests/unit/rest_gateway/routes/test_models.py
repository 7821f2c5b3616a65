from typing import Any

import grpc.aio
import httpx
import pytest
from openvino_server.v1 import models_pb2

from rest_gateway.app import create_app
from rest_gateway.upstream import Upstream


@pytest.fixture(autouse=True)
def models(service: Any) -> None:
    service.models = [
        models_pb2.Model(name=name, state=state)
        for name, state in [
            ("broken", models_pb2.MODEL_STATE_FAILED),
            ("loading", models_pb2.MODEL_STATE_LOADING),
            ("owner/name", models_pb2.MODEL_STATE_READY),
            ("smollm", models_pb2.MODEL_STATE_READY),
        ]
    ]
    service.models[3].context_length = 8192
    service.models[3].create_time.FromSeconds(1_700_000_000)


async def test_list_has_what_is_ready(client: httpx.AsyncClient, service: Any) -> None:
    response = await client.get("/v1/models", headers={"x-request-id": "abc"})
    assert response.status_code == 200
    assert response.json() == {
        "object": "list",
        "data": [
            {
                "id": "owner/name",
                "object": "model",
                "created": 0,
                "owned_by": "openvino-server",
                "max_model_len": None,
            },
            {
                "id": "smollm",
                "object": "model",
                "created": 1_700_000_000,
                "owned_by": "openvino-server",
                "max_model_len": 8192,
            },
        ],
    }
    assert service.metadata[0]["x-request-id"] == "abc"


@pytest.mark.parametrize("name", ["smollm", "owner/name", "owner%2Fname"])
async def test_one(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 200
    assert response.json()["id"] == name.replace("%2F", "/")


@pytest.mark.parametrize("name", ["nothing", "owner/nothing", "loading", ""])
async def test_what_is_not_there(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")


async def test_unready_model_says_why(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/models/loading")
    assert response.json()["error"]["message"] == ("The model 'loading' is loading.")


async def test_service_that_is_down(config: Any, keys: Any, key: str) -> None:
    nowhere = Upstream(grpc.aio.insecure_channel("127.0.0.1:1"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(config, nowhere, keys)),
        base_url="http://gateway",
    ) as client:
        response = await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    await nowhere.close()
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["error"]["code"] == "service_unavailable"
    assert "127.0.0.1" not in response.text


@pytest.mark.parametrize("name", ["nothing", "x" * 257, "x" * 10_000, "owner/" * 50])
async def test_unknown_names_have_one_wording(client: httpx.AsyncClient, name: str) -> None:
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": f"The model '{shown}' does not exist.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_failed_model_hides_the_cause(client: httpx.AsyncClient, service: Any) -> None:
    service.models[0].failure = "/srv/models/broken: no such file"
    response = await client.get("/v1/models/broken")
    assert response.json()["error"]["message"] == (
        "The model 'broken' could not be loaded; the server's log says why."
    )
