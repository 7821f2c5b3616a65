"""The service's side of mTLS: what it shows, and which clients it accepts."""

from __future__ import annotations

import grpc

from inference_service.config import ServiceConfig


def server_credentials(config: ServiceConfig) -> grpc.ServerCredentials:
    """Return credentials that require a client certificate signed by the configured CA.

    Raises:
        OSError: A file can't be read.

    """
    return grpc.ssl_server_credentials(
        [(config.tls_key.read_bytes(), config.tls_cert.read_bytes())],
        root_certificates=config.tls_client_ca.read_bytes(),
        require_client_auth=True,
    )
