from typing import Any

import grpc.aio
import httpx
from grpc_health.v1 import health_pb2

from rest_gateway.app import create_app
from rest_gateway.upstream import Upstream


async def test_serving(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/health")
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
    app.state.draining = True
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
