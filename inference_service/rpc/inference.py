"""`InferenceService`: generation and tokenization."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc.aio
from openvino_server.v1 import inference_pb2

from inference_service.embedding import Embedder
from inference_service.errors import InvalidArgument
from inference_service.generation import Generator
from inference_service.rpc import mapping
from inference_service.rpc.embedding import EmbeddingServicer

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class InferenceServicer(EmbeddingServicer):
    """Answers `InferenceService` with a generator and an embedder; see inference.proto."""

    def __init__(self, generator: Generator, embedder: Embedder) -> None:
        super().__init__(embedder)
        self._generator = generator

    async def Generate(  # noqa: D102  the proto says it
        self, request: inference_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[inference_pb2.GenerateResponse]:
        wanted = mapping.generate_request_from_proto(request)
        async with aclosing(self._generator.generate(wanted)) as batches:  # type: ignore[type-var]
            async for events in batches:
                yield mapping.generate_response_to_proto(events)

    async def Tokenize(  # noqa: D102
        self, request: inference_pb2.TokenizeRequest, context: Context
    ) -> inference_pb2.TokenizeResponse:
        model = mapping.model_name_from_proto(request.model)
        match request.WhichOneof("input"):
            case "chat":
                if request.add_special_tokens:
                    raise InvalidArgument("add_special_tokens", "is allowed only with text")
                chat = mapping.chat_from_proto(request.chat)
                ids, context_length = await self._generator.tokenize(
                    model, chat, add_special_tokens=False
                )
            case "text":
                ids, context_length = await self._generator.tokenize(
                    model, request.text, add_special_tokens=request.add_special_tokens
                )
            case _:
                raise InvalidArgument("input", "one of text and chat is required")
        return inference_pb2.TokenizeResponse(token_ids=ids, context_length=context_length)

    async def Detokenize(  # noqa: D102
        self, request: inference_pb2.DetokenizeRequest, context: Context
    ) -> inference_pb2.DetokenizeResponse:
        if len(request.token_ids) > mapping.MAX_TOKEN_IDS:
            raise InvalidArgument("token_ids", f"at most {mapping.MAX_TOKEN_IDS} are allowed")
        text = await self._generator.detokenize(
            mapping.model_name_from_proto(request.model),
            tuple(request.token_ids),
            skip_special_tokens=request.skip_special_tokens,
        )
        return inference_pb2.DetokenizeResponse(text=text)
