"""`HealthService`, and the stock health service that probes use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2 as stock_pb2
from grpc_health.v1 import health_pb2_grpc as stock_grpc
from openvino_server.v1 import health_pb2, health_pb2_grpc

from inference_service import __version__
from inference_service.domain import ModelState
from inference_service.models.registry import Registry
from inference_service.rpc import mapping

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_UNKNOWN = stock_pb2.HealthCheckResponse.SERVICE_UNKNOWN


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
            memory=mapping.memory_to_proto(self._registry.memory()),
        )


class ProbeHealth(stock_grpc.HealthServicer):
    """Answers `grpc.health.v1`: the empty name is the server, a model's name is that model.

    Each other name of a model is a service too, and all of them follow its state. The server is
    SERVING when every model that is to run is ready, and it isn't shutting down. In
    place of the package's own servicer, whose watchers hold a lock while they write: one that does
    not read stops every change of state there.
    """

    def __init__(self) -> None:
        self._states: dict[str, bool] = {"": False}
        self._draining = False
        self._watchers: set[asyncio.Event] = set()

    def update(self, registry: Registry) -> None:
        """Say what the registry's states are now; of models that are gone, nothing is known."""
        infos = registry.snapshot()
        states = {info.name: info.state is ModelState.READY for info in infos}
        # After all names: a name for which requests get a version of it speaks of that version.
        for info in infos:
            states.update(dict.fromkeys(info.aliases, info.state is ModelState.READY))
        self._states = states | {"": registry.ready}
        self._notify()

    def drain(self) -> None:
        """Say NOT_SERVING for everything from now on."""
        self._draining = True
        self._notify()

    async def Check(  # noqa: D102  the stock proto says it
        self, request: stock_pb2.HealthCheckRequest, context: Context
    ) -> stock_pb2.HealthCheckResponse:
        status = self._status(request.service)
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return stock_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: D102
        self, request: stock_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[stock_pb2.HealthCheckResponse]:
        changed = asyncio.Event()
        self._watchers.add(changed)
        told = None
        try:
            while True:
                changed.clear()
                status = self._status(request.service)
                if status != told:
                    told = status
                    yield stock_pb2.HealthCheckResponse(status=status)
                else:
                    await changed.wait()
        finally:
            self._watchers.discard(changed)

    def _status(self, service: str) -> Any:  # the stubs give the enum no type
        if service not in self._states:
            return _UNKNOWN
        serving = self._states[service] and not self._draining
        return (
            stock_pb2.HealthCheckResponse.SERVING
            if serving
            else stock_pb2.HealthCheckResponse.NOT_SERVING
        )

    def _notify(self) -> None:
        for watcher in self._watchers:
            watcher.set()
