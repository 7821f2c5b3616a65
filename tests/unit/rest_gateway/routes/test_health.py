from typing import Any

import grpc.aio
import httpx
import pytest
import structlog
from grpc_health.v1 import health_pb2
from openvino_server.v1 import models_pb2

from rest_gateway.app import create_app
from rest_gateway.upstream import Upstream


@pytest.mark.parametrize("path", ["/v1/health", "/health"])
async def test_serving(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


async def test_not_serving(client: httpx.AsyncClient, health: Any) -> None:
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    response = await client.get("/v1/health")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "reason": "the inference service answers NOT_SERVING",
    }
    assert response.headers["retry-after"]


async def test_draining(client: httpx.AsyncClient, app: Any) -> None:
    app.state.draining.set()
    response = await client.get("/v1/health")
    assert response.status_code == 503
    assert response.json()["reason"] == "the gateway is shutting down"


async def test_unreachable(config: Any, keys: Any) -> None:
    nowhere = Upstream(grpc.aio.insecure_channel("127.0.0.1:1"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(config, nowhere, keys)),
        base_url="http://gateway",
    ) as client:
        response = await client.get("/v1/health")
    await nowhere.close()
    assert response.status_code == 503
    assert response.json()["reason"] == "the inference service can't be asked: UNAVAILABLE"


async def test_models_that_are_not_ready_are_named(
    client: httpx.AsyncClient, health: Any, service: Any
) -> None:
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    service.models = [
        models_pb2.Model(name="a", state=models_pb2.MODEL_STATE_LOADING),
        models_pb2.Model(name="b", state=models_pb2.MODEL_STATE_READY),
        models_pb2.Model(name="c", state=models_pb2.MODEL_STATE_FAILED, failure="/srv/c"),
        # By someone's wish, so not what is wrong.
        models_pb2.Model(name="d", state=models_pb2.MODEL_STATE_UNLOADED),
        models_pb2.Model(name="e", state=models_pb2.MODEL_STATE_DRAINING),
    ]
    response = await client.get("/v1/health")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "reason": "model 'a' is loading, model 'c' could not be loaded; the server's log says why",
        "models": {"a": "loading", "c": "failed"},
    }


async def test_reason_names_few(client: httpx.AsyncClient, health: Any, service: Any) -> None:
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    service.models = [
        models_pb2.Model(name=f"m{number}", state=models_pb2.MODEL_STATE_LOADING)
        for number in range(7)
    ]
    body = (await client.get("/v1/health")).json()
    assert body["reason"].endswith("model 'm4' is loading, 2 more are not ready")
    assert len(body["models"]) == 7


async def test_models_are_asked_for_only_if_needed(client: httpx.AsyncClient, service: Any) -> None:
    await client.get("/v1/health")
    assert service.metadata == []


async def test_probes_are_logged_at_debug(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.get("/v1/health")
        await client.get("/v1/models")
    levels = {line["path"]: line["log_level"] for line in lines if line["event"] == "request"}
    assert levels == {"/v1/health": "debug", "/v1/models": "info"}
