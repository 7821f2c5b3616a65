"""`ModelService`: what models there are, and what becomes of them while the server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc.aio
from openvino_server.v1 import models_pb2, models_pb2_grpc
from structlog.contextvars import bind_contextvars

from inference_service.models.registry import Registry
from inference_service.rpc import mapping

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """Answers `ModelService` from a registry; see models.proto.

    What streams is asked for its next message only when the one before is written, so that a reader
    that is slow has the registry hold nothing for it but what is newest.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListModels(  # noqa: D102  the proto says it
        self, request: models_pb2.ListModelsRequest, context: Context
    ) -> models_pb2.ListModelsResponse:
        models = [mapping.model_to_proto(info) for info in await self._registry.infos()]
        return models_pb2.ListModelsResponse(models=models)

    async def GetModel(  # noqa: D102
        self, request: models_pb2.GetModelRequest, context: Context
    ) -> models_pb2.GetModelResponse:
        info = await self._registry.info(mapping.model_name_from_proto(request.name, "name"))
        return models_pb2.GetModelResponse(model=mapping.model_to_proto(info))

    async def LoadModel(  # noqa: D102
        self, request: models_pb2.LoadModelRequest, context: Context
    ) -> AsyncIterator[models_pb2.LoadModelResponse]:
        load = self._registry.load(
            _named(request.name),
            reload=request.reload,
            pinned=request.pinned if request.HasField("pinned") else None,
            detach=request.detach,
        )
        async with aclosing(load) as changes:
            async for info in changes:
                yield models_pb2.LoadModelResponse(model=mapping.model_to_proto(info))

    async def UnloadModel(  # noqa: D102
        self, request: models_pb2.UnloadModelRequest, context: Context
    ) -> models_pb2.UnloadModelResponse:
        drain_seconds = None
        if request.HasField("drain_timeout"):
            drain_seconds = mapping.wait_from_proto(request.drain_timeout, "drain_timeout")
        info = await self._registry.unload(_named(request.name), drain_seconds=drain_seconds)
        return models_pb2.UnloadModelResponse(model=mapping.model_to_proto(info))

    async def PullModel(  # noqa: D102
        self, request: models_pb2.PullModelRequest, context: Context
    ) -> AsyncIterator[models_pb2.PullModelResponse]:
        wanted = mapping.pull_request_from_proto(request)
        bind_contextvars(source=wanted.source, **({"model": wanted.name} if wanted.name else {}))
        async with aclosing(self._registry.pull(wanted)) as steps:
            async for step in steps:
                yield mapping.pull_progress_to_proto(step)

    async def DeleteModel(  # noqa: D102
        self, request: models_pb2.DeleteModelRequest, context: Context
    ) -> models_pb2.DeleteModelResponse:
        await self._registry.delete(_named(request.name), unload=request.unload)
        return models_pb2.DeleteModelResponse()

    async def WatchModels(  # noqa: D102
        self, request: models_pb2.WatchModelsRequest, context: Context
    ) -> AsyncIterator[models_pb2.WatchModelsResponse]:
        names = mapping.watched_names_from_proto(request)
        async with aclosing(self._registry.watch(names)) as events:
            async for event in events:
                yield mapping.watch_event_to_proto(event)


def _named(name: str) -> str:
    """Check a request's name, and put it on the request's log lines."""
    name = mapping.model_name_from_proto(name, "name")
    bind_contextvars(model=name)
    return name
