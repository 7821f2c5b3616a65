"""`HealthService`, and the stock health service that probes use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc.aio
from grpc_health.v1 import health_pb2 as stock_pb2
from grpc_health.v1.health import aio as stock
from openvino_server.v1 import health_pb2, health_pb2_grpc

from inference_service import __version__
from inference_service.domain import ModelState
from inference_service.models.registry import Registry
from inference_service.rpc import mapping

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class HealthServicer(health_pb2_grpc.HealthServiceServicer):
    """Answers `HealthService` from a registry; see health.proto.

    Args:
        registry: The models.
        draining: Whether the server is shutting down.

    """

    def __init__(self, registry: Registry, draining: Callable[[], bool]) -> None:
        self._registry = registry
        self._draining = draining

    async def GetStatus(  # noqa: D102  the proto says it
        self, request: health_pb2.GetStatusRequest, context: Context
    ) -> health_pb2.GetStatusResponse:
        draining = self._draining()
        return health_pb2.GetStatusResponse(
            serving=self._registry.ready and not draining,
            draining=draining,
            replicas=[mapping.replica_to_proto(status) for status in self._registry.replicas()],
            version=__version__,
        )


class ProbeHealth:
    """Keeps `grpc.health.v1` true: the empty name is the server, a model's name is that model.

    The server is SERVING when every model that is to run is ready, and it isn't shutting down.

    Attributes:
        servicer: The stock servicer, to register.

    """

    def __init__(self) -> None:
        self.servicer = stock.HealthServicer()

    async def update(self, registry: Registry) -> None:
        """Say what the registry's states are now."""
        await self.servicer.set("", _status(registry.ready))
        for info in registry.infos():
            await self.servicer.set(info.name, _status(info.state is ModelState.READY))

    async def drain(self) -> None:
        """Say NOT_SERVING for everything from now on."""
        await self.servicer.enter_graceful_shutdown()


def _status(serving: bool) -> Any:  # the stubs give the enum no type
    return (
        stock_pb2.HealthCheckResponse.SERVING
        if serving
        else stock_pb2.HealthCheckResponse.NOT_SERVING
    )
