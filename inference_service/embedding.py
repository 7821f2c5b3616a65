"""Requests for vectors and scores to answers: admission, engine, the form asked for."""

from __future__ import annotations

import numpy as np
from structlog.contextvars import bind_contextvars

from inference_service.domain import (
    Embeddings,
    EmbedRequest,
    ModelKind,
    RankedDocument,
    Ranking,
    RerankRequest,
)
from inference_service.errors import InvalidArgument, Unsupported
from inference_service.models.loaded import LoadedModel
from inference_service.models.registry import Registry


class Embedder:
    """Runs requests on the embedding and rerank models of a registry.

    Args:
        registry: The models.

    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Turn texts, or token ids, into vectors. A caller that is cancelled ends the work.

        Raises:
            ServiceError: See `InferenceService.Embed` in inference.proto.

        """
        model = await self._model(request.model, "Embed", ModelKind.EMBEDDING)
        with model.used(request.keep_alive_seconds):
            with model.admitted() as worker:
                dimensions = worker.dimensions
                assert dimensions is not None, "an embedding model says how long its vectors are"
                if request.dimensions is not None and request.dimensions > dimensions:
                    problem = f"is more than the {dimensions} that the model gives"
                    raise InvalidArgument("dimensions", problem)
                for index, text in enumerate(request.inputs):
                    _check_text(model, f"texts[{index}]", text, worker.longest_token_bytes)
                call = worker.embed(request.inputs)
            answer = await call
        bind_contextvars(prompt_tokens=answer.prompt_tokens, inputs=len(request.inputs))
        vectors = answer.vectors
        if request.dimensions is not None and request.dimensions < dimensions:
            vectors = _shortened(vectors, request.dimensions)
        return Embeddings(vectors, answer.prompt_tokens)

    async def rerank(self, request: RerankRequest) -> Ranking:
        """Order documents by how well they answer a query; those of equal score as they came.

        Raises:
            ServiceError: See `InferenceService.Rerank` in inference.proto.

        """
        kinds = ModelKind.EMBEDDING, ModelKind.RERANK
        model = await self._model(request.model, "Rerank", *kinds)
        with model.used(request.keep_alive_seconds):
            with model.admitted() as worker:
                _check_text(model, "query", request.query, worker.longest_token_bytes)
                for index, text in enumerate(request.documents):
                    _check_text(model, f"documents[{index}]", text, worker.longest_token_bytes)
                call = worker.rerank(request.query, request.documents)
            answer = await call
        bind_contextvars(prompt_tokens=answer.prompt_tokens, inputs=len(request.documents))
        results = [RankedDocument(index, score) for index, score in enumerate(answer.scores)]
        results.sort(key=lambda result: -result.score)
        return Ranking(results[: request.top_n], answer.prompt_tokens)

    async def _model(self, name: str, rpc: str, *kinds: ModelKind) -> LoadedModel:
        bind_contextvars(model=name)
        target = await self._registry.acquire(name, rpc, *kinds)
        if target.adapter:
            raise Unsupported("adapter", f"{rpc} takes no adapters", field="model")
        return target.model


def _check_text(
    model: LoadedModel, field: str, text: str | tuple[int, ...], longest_token_bytes: int
) -> None:
    """Refuse what is too large to spend the worker's time on.

    Raises:
        InvalidArgument: It is.

    """
    limit = model.folder.context_length * longest_token_bytes
    if isinstance(text, str) and len(text) * 4 > limit and len(text.encode()) > limit:
        raise InvalidArgument(field, f"is longer than {limit} bytes")


def _shortened(vectors: tuple[bytes, ...], dimensions: int) -> tuple[bytes, ...]:
    """Keep the first components of each vector, at unit length: https://arxiv.org/abs/2205.13147."""
    kept = np.stack([np.frombuffer(vector, dtype="<f4", count=dimensions) for vector in vectors])
    exact = kept.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    scaled = (exact / np.where(lengths == 0, 1, lengths)).astype("<f4")
    return tuple(row.tobytes() for row in scaled)
