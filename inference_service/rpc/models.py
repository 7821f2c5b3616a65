"""`ModelService`: what models there are."""

from __future__ import annotations

from typing import Any, NoReturn, TypeAlias

import grpc.aio
from openvino_server.v1 import models_pb2, models_pb2_grpc

from inference_service.errors import Unsupported
from inference_service.models.registry import Registry
from inference_service.rpc import mapping

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """Answers `ModelService` from a registry; see models.proto."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListModels(  # noqa: D102  the proto says it
        self, request: models_pb2.ListModelsRequest, context: Context
    ) -> models_pb2.ListModelsResponse:
        models = [mapping.model_to_proto(info) for info in self._registry.infos()]
        return models_pb2.ListModelsResponse(models=models)

    async def GetModel(  # noqa: D102
        self, request: models_pb2.GetModelRequest, context: Context
    ) -> models_pb2.GetModelResponse:
        info = self._registry.info(mapping.model_name_from_proto(request.name, "name"))
        return models_pb2.GetModelResponse(model=mapping.model_to_proto(info))

    def LoadModel(  # noqa: D102
        self, request: models_pb2.LoadModelRequest, context: Context
    ) -> NoReturn:
        raise Unsupported("LoadModel")

    async def UnloadModel(  # noqa: D102
        self, request: models_pb2.UnloadModelRequest, context: Context
    ) -> NoReturn:
        raise Unsupported("UnloadModel")

    def PullModel(  # noqa: D102
        self, request: models_pb2.PullModelRequest, context: Context
    ) -> NoReturn:
        raise Unsupported("PullModel")

    async def DeleteModel(  # noqa: D102
        self, request: models_pb2.DeleteModelRequest, context: Context
    ) -> NoReturn:
        raise Unsupported("DeleteModel")

    def WatchModels(  # noqa: D102
        self, request: models_pb2.WatchModelsRequest, context: Context
    ) -> NoReturn:
        raise Unsupported("WatchModels")
