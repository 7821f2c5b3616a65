"""Requests for vectors and scores, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc.mapping.models import model_name_from_proto
from inference_service.rpc.mapping.request import (
    MAX_TOKEN_IDS,
    keep_alive_from_proto,
    token_ids_from_proto,
)

MAX_INPUTS = 2048
MAX_DOCUMENTS = 1024
_VECTORS_A_TURN = (
    64  # converted before others have their turn on the event loop: about a millisecond
)


def embed_request_from_proto(request: inference_pb2.EmbedRequest) -> domain.EmbedRequest:
    """Check and convert a request.

    Raises:
        InvalidArgument: A field is missing or out of its range.

    """
    model = model_name_from_proto(request.model)
    if bool(request.texts) == bool(request.token_ids):
        raise InvalidArgument("texts", "either texts or token_ids are required, and not both")
    inputs: tuple[str | tuple[int, ...], ...]
    if request.texts:
        _check_count("texts", request.texts, MAX_INPUTS)
        inputs = _texts("texts", request.texts)
    else:
        _check_count("token_ids", request.token_ids, MAX_INPUTS)
        if sum(len(tokens.ids) for tokens in request.token_ids) > MAX_TOKEN_IDS:
            raise InvalidArgument("token_ids", f"at most {MAX_TOKEN_IDS} ids are allowed")
        inputs = tuple(
            token_ids_from_proto(tokens, f"token_ids[{index}]")
            for index, tokens in enumerate(request.token_ids)
        )
    dimensions = request.dimensions if request.HasField("dimensions") else None
    if dimensions == 0:
        raise InvalidArgument("dimensions", "must be at least 1")
    return domain.EmbedRequest(model, inputs, dimensions, keep_alive_from_proto(request))


def rerank_request_from_proto(request: inference_pb2.RerankRequest) -> domain.RerankRequest:
    """Check and convert a request.

    Raises:
        InvalidArgument: A field is missing or out of its range.

    """
    model = model_name_from_proto(request.model)
    if not request.query:
        raise InvalidArgument("query", "is required")
    if not request.documents:
        raise InvalidArgument("documents", "is empty; at least one document is required")
    _check_count("documents", request.documents, MAX_DOCUMENTS)
    documents = _texts("documents", request.documents)
    top_n = request.top_n if request.HasField("top_n") else None
    if top_n == 0:
        raise InvalidArgument("top_n", "must be at least 1")
    return domain.RerankRequest(
        model, request.query, documents, top_n, keep_alive_from_proto(request)
    )


def _check_count(field: str, values: Sequence[object], most: int) -> None:
    if len(values) > most:
        raise InvalidArgument(field, f"at most {most} are allowed")


def _texts(field: str, texts: Sequence[str]) -> tuple[str, ...]:
    for index, text in enumerate(texts):
        if not text:
            raise InvalidArgument(f"{field}[{index}]", "is empty")
    return tuple(texts)


async def embed_response_to_proto(answer: domain.Embeddings) -> inference_pb2.EmbedResponse:
    """Convert vectors, with room for others on the event loop between them."""
    response = inference_pb2.EmbedResponse(prompt_tokens=answer.prompt_tokens)
    for index, vector in enumerate(answer.vectors):
        if index % _VECTORS_A_TURN == _VECTORS_A_TURN - 1:
            await asyncio.sleep(0)
        response.embeddings.add(values=np.frombuffer(vector, dtype="<f4").tolist())
    return response


def rerank_response_to_proto(answer: domain.Ranking) -> inference_pb2.RerankResponse:
    """Convert a ranking."""
    return inference_pb2.RerankResponse(
        results=[
            inference_pb2.RerankResult(index=result.index, relevance_score=result.score)
            for result in answer.results
        ],
        prompt_tokens=answer.prompt_tokens,
    )
