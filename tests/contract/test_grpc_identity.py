from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2 as probe_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from openvino_server.v1 import health_pb2, models_pb2
from openvino_server_cli import pki

AnyCall = Callable[..., Any]

REFUSED = (grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NOT_ALLOWED", {})


def every_call(client: Any) -> list[Any]:
    """A call of each service."""
    return [
        client.generate("x"),
        client.models.ListModels(models_pb2.ListModelsRequest()),
        client.health.GetStatus(health_pb2.GetStatusRequest()),
        client.probe.Check(probe_pb2.HealthCheckRequest()),
        client.probe.Watch(probe_pb2.HealthCheckRequest()),
        reflection_pb2_grpc.ServerReflectionStub(client.channel).ServerReflectionInfo().read(),
    ]


async def assert_unreachable(client: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.models.ListModels(models_pb2.ListModelsRequest(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await client.channel.close()  # else it tries again and again


async def test_client_without_a_certificate_gets_no_connection(
    service: Any, connect: AnyCall, credentials: AnyCall
) -> None:
    await assert_unreachable(connect(service.port, credentials(None)))


async def test_client_without_tls_gets_no_connection(service: Any) -> None:
    async with grpc.aio.insecure_channel(f"localhost:{service.port}") as channel:
        call = channel.unary_unary("/openvino_server.v1.ModelService/ListModels")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_certificate_of_another_ca_gets_no_connection(
    service: Any, connect: AnyCall, credentials: AnyCall, tmp_path: Path
) -> None:
    """Its name is the allowed one; the signature decides."""
    pki.create(tmp_path)
    await assert_unreachable(connect(service.port, credentials("gateway", tmp_path)))


async def test_certificate_for_servers_gets_no_connection(
    service: Any, connect: AnyCall, credentials: AnyCall
) -> None:
    await assert_unreachable(connect(service.port, credentials("service")))


async def test_other_names_are_refused_everything(
    service: Any, connect: AnyCall, credentials: AnyCall, refusal: AnyCall
) -> None:
    for call in every_call(connect(service.port, credentials("client"))):
        assert await refusal(call) == REFUSED


async def test_names_that_are_allowed(
    start_service: AnyCall, connect: AnyCall, credentials: AnyCall, refusal: AnyCall
) -> None:
    only_client = await start_service(allowed_client_names=["other", "client"])
    assert (await connect(only_client.port, credentials("client")).answer("x")).text == "x"
    for call in every_call(connect(only_client.port, credentials("gateway"))):
        assert await refusal(call) == REFUSED


async def test_star_allows_every_name_that_the_ca_signed(
    start_service: AnyCall, connect: AnyCall, credentials: AnyCall, tmp_path: Path
) -> None:
    anyone = await start_service(allowed_client_names=["*"])
    for name in ("gateway", "client"):
        assert (await connect(anyone.port, credentials(name)).answer("x")).text == "x"
    pki.create(tmp_path)
    await assert_unreachable(connect(anyone.port, credentials("client", tmp_path)))
    await assert_unreachable(connect(anyone.port, credentials(None)))


async def test_reflection_lists_every_service(client: Any) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="openvino_server.v1.InferenceService"
        ),
    ]
    listed, file = [r async for r in stub.ServerReflectionInfo(iter(requests), timeout=10)]
    assert {service.name for service in listed.list_services_response.service} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "openvino_server.v1.HealthService",
        "openvino_server.v1.InferenceService",
        "openvino_server.v1.ModelService",
    }
    descriptors = file.file_descriptor_response.file_descriptor_proto
    assert any(b"GenerateRequest" in descriptor for descriptor in descriptors)
