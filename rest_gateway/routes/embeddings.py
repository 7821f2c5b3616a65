"""`POST /v1/embeddings`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.embeddings import (
    answer_to_openai,
    names_of,
    parse_embeddings,
    request_to_proto,
)
from rest_gateway.routes.client import read_json
from rest_gateway.routes.unary import UnaryResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream


def embeddings_router(upstream: Upstream, timeout_seconds: float) -> APIRouter:
    """Make the route of embeddings.

    Args:
        upstream: The service.
        timeout_seconds: Time that a request may take.

    """
    router = APIRouter()

    @router.post("/v1/embeddings")
    async def create_embeddings(request: Request) -> Response:
        body = parse_embeddings(await read_json(request))
        record = record_of(request.scope)
        record.model = body.model

        async def embed() -> bytes:
            wanted = request_to_proto(body)
            answer = await upstream.embed(wanted, record.request_id, timeout_seconds)
            record.prompt_tokens = answer.prompt_tokens
            return await answer_to_openai(answer, body)

        return UnaryResponse(embed, names_of(body))

    return router
