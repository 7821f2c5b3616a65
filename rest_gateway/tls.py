"""TLS of both sides: what clients of the gateway see, and what the gateway shows to the service."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from rest_gateway.config import GatewayConfig


class TlsProblem(Exception):
    """Certificates or keys that can't be used.

    Attributes:
        problems: What is wrong, one text for each setting concerned.

    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def server_context(config: GatewayConfig) -> ssl.SSLContext:
    """Make the context that HTTPS is served with: TLS 1.2 or later.

    Raises:
        TlsProblem: The certificate and key can't be read, or don't belong together.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    problem = _load_pair(context, "tls_cert", config.tls_cert, config.tls_key)
    if problem:
        raise TlsProblem([problem])
    return context


def channel_credentials(config: GatewayConfig) -> grpc.ChannelCredentials:
    """Read what the gateway proves itself to the service with, and verifies the service by.

    gRPC takes any bytes and fails at the first handshake, with a message that names no file; so
    the files are checked here.

    Raises:
        TlsProblem: A file can't be read, or certificate and key don't belong together.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    problems = [
        _load_pair(
            context, "service_client_cert", config.service_client_cert, config.service_client_key
        )
    ]
    try:
        context.load_verify_locations(config.service_ca)
    except (OSError, ssl.SSLError) as error:
        problems.append(f"service_ca: {config.service_ca} has no usable certificates: {error}")
    if found := [problem for problem in problems if problem]:
        raise TlsProblem(found)
    return grpc.ssl_channel_credentials(
        root_certificates=config.service_ca.read_bytes(),
        private_key=config.service_client_key.read_bytes(),
        certificate_chain=config.service_client_cert.read_bytes(),
    )


def _load_pair(context: ssl.SSLContext, setting: str, cert: Path, key: Path) -> str | None:
    try:
        # An empty password, so that an encrypted key fails instead of asking on the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ssl.SSLError) as error:
        return f"{setting}: {cert} with the key {key} can't be used: {error}"
    return None
