"""The service's RPCs about models."""

from __future__ import annotations

import grpc
from openvino_server.v1 import models_pb2, models_pb2_grpc

from rest_gateway.upstream.errors import answer_of
from rest_gateway.upstream.metadata import metadata_of
from rest_gateway.upstream.stream import GrpcStream, Stream


class Models:
    """The service's RPCs about models.

    Args:
        channel: The channel to the service.
        timeout_seconds: Deadline of what is answered at once: a list, or one model.
        change_timeout_seconds: Deadline of what changes models; None for no deadline.

    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        timeout_seconds: float,
        change_timeout_seconds: float | None = None,
    ) -> None:
        self._timeout = timeout_seconds
        self._change_timeout = change_timeout_seconds
        self._stub = models_pb2_grpc.ModelServiceStub(channel)

    async def list(self, request_id: str) -> list[models_pb2.Model]:
        """List the service's models, in any state.

        Raises:
            UpstreamError: The RPC failed.

        """
        call = self._stub.ListModels(
            models_pb2.ListModelsRequest(), timeout=self._timeout, metadata=metadata_of(request_id)
        )
        return [*(await answer_of(call)).models]

    async def get(self, name: str, request_id: str) -> models_pb2.Model:
        """Get one model, in any state.

        Raises:
            UpstreamError: The RPC failed; with reason MODEL_NOT_FOUND if there is no such model.

        """
        call = self._stub.GetModel(
            models_pb2.GetModelRequest(name=name),
            timeout=self._timeout,
            metadata=metadata_of(request_id),
        )
        return (await answer_of(call)).model

    def load(
        self, request: models_pb2.LoadModelRequest, request_id: str
    ) -> Stream[models_pb2.LoadModelResponse]:
        """Start to load a model. Cancelling ends the load, unless others wait or it is detached."""
        return GrpcStream(
            self._stub.LoadModel(
                request, timeout=self._change_timeout, metadata=metadata_of(request_id)
            )
        )

    async def unload(
        self, request: models_pb2.UnloadModelRequest, request_id: str
    ) -> models_pb2.Model:
        """Unload a model, and return it as it is then.

        Raises:
            UpstreamError: The RPC failed.

        """
        call = self._stub.UnloadModel(
            request, timeout=self._change_timeout, metadata=metadata_of(request_id)
        )
        return (await answer_of(call)).model

    def pull(
        self, request: models_pb2.PullModelRequest, request_id: str
    ) -> Stream[models_pb2.PullModelResponse]:
        """Start to fetch a model. Cancelling ends the fetch, unless others wait for it."""
        return GrpcStream(
            self._stub.PullModel(
                request, timeout=self._change_timeout, metadata=metadata_of(request_id)
            )
        )

    async def delete(self, request: models_pb2.DeleteModelRequest, request_id: str) -> None:
        """Delete a model.

        Raises:
            UpstreamError: The RPC failed.

        """
        call = self._stub.DeleteModel(
            request, timeout=self._change_timeout, metadata=metadata_of(request_id)
        )
        await answer_of(call)

    def watch(
        self, request: models_pb2.WatchModelsRequest, request_id: str
    ) -> Stream[models_pb2.WatchModelsResponse]:
        """Start to watch models; only a cancel or a failure ends it."""
        return GrpcStream(self._stub.WatchModels(request, metadata=metadata_of(request_id)))
