"""The service's side of mTLS: what it shows, and which clients it accepts."""

from __future__ import annotations

import ssl

import grpc

from inference_service.config import ServiceConfig


class TlsProblem(Exception):
    """Certificates or keys that can't be used.

    Attributes:
        problems: What is wrong, one text for each setting concerned.

    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def server_credentials(config: ServiceConfig) -> grpc.ServerCredentials:
    """Return credentials that require a client certificate signed by the configured CA.

    gRPC takes any bytes, and then says of the port that it can't be had; so the files are checked
    here.

    Raises:
        TlsProblem: A file can't be read, or certificate and key don't belong together.

    """
    problems = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, so that an encrypted key fails instead of asking on the terminal.
        context.load_cert_chain(config.tls_cert, config.tls_key, password="")
    except OSError as error:  # ssl.SSLError is one
        problems.append(
            f"tls_cert: {config.tls_cert} with the key {config.tls_key} can't be used: {error}"
        )
    try:
        context.load_verify_locations(config.tls_client_ca)
    except OSError as error:
        problems.append(
            f"tls_client_ca: {config.tls_client_ca} has no usable certificates: {error}"
        )
    if problems:
        raise TlsProblem(problems)
    return grpc.ssl_server_credentials(
        [(config.tls_key.read_bytes(), config.tls_cert.read_bytes())],
        root_certificates=config.tls_client_ca.read_bytes(),
        require_client_auth=True,
    )
