"""The part of `InferenceService` that is about vectors and scores."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio
from openvino_server.v1 import inference_pb2, inference_pb2_grpc

from inference_service.embedding import Embedder
from inference_service.rpc.mapping.embedding import (
    embed_request_from_proto,
    embed_response_to_proto,
    rerank_request_from_proto,
    rerank_response_to_proto,
)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class EmbeddingServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Answers `Embed` and `Rerank` with an embedder; see inference.proto."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(  # noqa: D102  the proto says it
        self, request: inference_pb2.EmbedRequest, context: Context
    ) -> inference_pb2.EmbedResponse:
        answer = await self._embedder.embed(embed_request_from_proto(request))
        return await embed_response_to_proto(answer)

    async def Rerank(  # noqa: D102
        self, request: inference_pb2.RerankRequest, context: Context
    ) -> inference_pb2.RerankResponse:
        answer = await self._embedder.rerank(rerank_request_from_proto(request))
        return rerank_response_to_proto(answer)
