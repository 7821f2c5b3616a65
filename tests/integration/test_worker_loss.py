"""A worker that is killed: a clear error, health that turns, a new worker, the next request."""

from __future__ import annotations

import os
import signal

import grpc.aio
import openai
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from openvino_server.v1 import inference_pb2, inference_pb2_grpc

from benchmarks.server import LocalServer
from tests.integration.conftest import MODEL, REPRODUCIBLE, Replicas
from tests.integration.waiting import until


async def test_killed_worker(
    server: LocalServer, channel: grpc.aio.Channel, replicas: Replicas
) -> None:
    health = health_pb2_grpc.HealthStub(channel)

    async def serving(service: str) -> bool:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    assert await serving("")
    before = await replicas.status()
    http = openai.DefaultAsyncHttpxClient(verify=server.ssl_context())
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http, max_retries=0
    ) as client:
        ask = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Count to a thousand in words."}],
            "max_tokens": 2000,
        }
        chunks = await client.chat.completions.create(**ask, stream=True)
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        direct = stub.Generate(
            inference_pb2.GenerateRequest(
                model=MODEL,
                prompt="One, two,",
                sampling=inference_pb2.SamplingParams(max_tokens=2000),
            )
        )
        events = aiter(direct)
        await anext(events)
        await anext(aiter(chunks))

        os.kill(before.pid, signal.SIGKILL)

        with pytest.raises(openai.APIError) as streamed:
            async for _ in chunks:
                pass
        assert streamed.value.code == "worker_lost"
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            async for _ in events:
                pass
        assert failed.value.code() == grpc.StatusCode.UNAVAILABLE

        assert not await serving("")
        assert not await serving(MODEL)
        assert await serving(REPRODUCIBLE)
        answer = await http.get(f"{server.base_url}/health")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unavailable"

        await until(lambda: serving(""), "a new worker came up")
        assert (await http.get(f"{server.base_url}/health")).json() == {"status": "ok"}
        after = await replicas.status()
        assert after.pid != before.pid
        assert after.restarts == before.restarts + 1
        answer = await client.chat.completions.create(**{**ask, "max_tokens": 5})
        assert answer.usage.completion_tokens == 5
