"""The two tiers as programs, configured by their environment for one machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from openvino_server_cli.child import Program
from openvino_server_cli.ports import HOST
from openvino_server_cli.state import State

LOAD_MODELS = "OVS_SERVICE_LOAD_MODELS"
"""The one setting of those below that a user may set too."""


def programs(state: State, model: str, rest_port: int, grpc_port: int) -> tuple[Program, Program]:
    """Give the service and the gateway, in the order of their start."""
    return (
        Program(
            "service",
            (sys.executable, "-m", "inference_service"),
            _service(state, model, grpc_port),
            state.logs / "service.log",
        ),
        Program(
            "gateway",
            (sys.executable, "-m", "rest_gateway"),
            _gateway(state, rest_port, grpc_port),
            state.logs / "gateway.log",
        ),
    )


def _service(state: State, model: str, port: int) -> Mapping[str, str]:
    certs = state.certs.absolute()
    return _prefixed(
        "OVS_SERVICE_",
        host=HOST,
        port=port,
        tls_cert=certs / "service.pem",
        tls_key=certs / "service-key.pem",
        tls_client_ca=certs / "ca.pem",
        allowed_client_names="gateway,client",
        models_dir=state.models.absolute(),
        # A user may want more models than the one that `up` cares for.
        load_models=os.environ.get(LOAD_MODELS) or model,
    )


def _gateway(state: State, port: int, grpc_port: int) -> Mapping[str, str]:
    certs = state.certs.absolute()
    return _prefixed(
        "OVS_GATEWAY_",
        host=HOST,
        port=port,
        tls_cert=certs / "gateway-server.pem",
        tls_key=certs / "gateway-server-key.pem",
        service_address=f"{HOST}:{grpc_port}",
        service_name="localhost",
        service_ca=certs / "ca.pem",
        service_client_cert=certs / "gateway.pem",
        service_client_key=certs / "gateway-key.pem",
        keys_file=state.keys_file.absolute(),
    )


def _prefixed(prefix: str, **values: object) -> Mapping[str, str]:
    return {f"{prefix}{name.upper()}": str(value) for name, value in values.items()}
