"""Which servicers a server has."""

from __future__ import annotations

import grpc.aio
from grpc_health.v1 import health_pb2 as stock_pb2
from grpc_health.v1 import health_pb2_grpc as stock_grpc
from grpc_reflection.v1alpha import reflection
from openvino_server.v1 import (
    health_pb2,
    health_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
)

from inference_service.embedding import Embedder
from inference_service.generation import Generator
from inference_service.models.registry import Registry
from inference_service.rpc.health import HealthServicer, ProbeHealth
from inference_service.rpc.inference import InferenceServicer
from inference_service.rpc.interceptors import Drain
from inference_service.rpc.models import ModelServicer

_SERVICES = (
    inference_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name,
    models_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
    health_pb2.DESCRIPTOR.services_by_name["HealthService"].full_name,
    stock_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
    reflection.SERVICE_NAME,
)


def register(
    server: grpc.aio.Server,
    registry: Registry,
    generator: Generator,
    embedder: Embedder,
    probe: ProbeHealth,
    drain: Drain,
) -> None:
    """Add all services to a server: ours, stock health, and reflection over them."""
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(
        InferenceServicer(generator, embedder), server
    )
    models_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(registry), server)
    health_pb2_grpc.add_HealthServiceServicer_to_server(
        HealthServicer(registry, lambda: drain.draining), server
    )
    stock_grpc.add_HealthServicer_to_server(probe, server)
    reflection.enable_server_reflection(_SERVICES, server)
