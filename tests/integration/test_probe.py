"""The protocol of grpc_health_probe, under mTLS, with and without a service name."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.responsiveness import channel_credentials
from benchmarks.server import LocalServer
from tests.integration.conftest import MODEL

# From the probe's source: it dials, calls Check with a deadline, and wants SERVING.
DEADLINE_SECONDS = 1


def probe(server: LocalServer, credentials: grpc.ChannelCredentials, service: str) -> int:
    with grpc.secure_channel(server.env["OVS_GRPC_ADDRESS"], credentials) as channel:
        return (
            health_pb2_grpc.HealthStub(channel)
            .Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_SECONDS)
            .status
        )


@pytest.mark.parametrize("service", ["", MODEL])
def test_serving(server: LocalServer, service: str) -> None:
    credentials = channel_credentials(server.env)
    assert probe(server, credentials, service) == health_pb2.HealthCheckResponse.SERVING


def test_unknown_service(server: LocalServer) -> None:
    with pytest.raises(grpc.RpcError) as error:
        probe(server, channel_credentials(server.env), "no-such-service")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_no_certificate_is_refused(server: LocalServer) -> None:
    with open(server.env["OVS_GRPC_CA"], "rb") as ca:  # noqa: PTH123
        credentials = grpc.ssl_channel_credentials(ca.read())
    with pytest.raises(grpc.RpcError) as error:
        probe(server, credentials, "")
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
