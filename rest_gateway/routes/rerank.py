"""`POST /v1/rerank`, and the other paths under which clients look for it."""

from __future__ import annotations

import uuid

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.cohere.rerank import NAMES, answer_to_cohere, parse_rerank, request_to_proto
from rest_gateway.routes.client import read_json
from rest_gateway.routes.unary import UnaryResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream


def rerank_router(upstream: Upstream, timeout_seconds: float) -> APIRouter:
    """Make the routes of reranking.

    Args:
        upstream: The service.
        timeout_seconds: Time that a request may take.

    """
    router = APIRouter()

    @router.post("/v1/rerank")
    @router.post("/v2/rerank")
    @router.post("/rerank")
    async def rerank(request: Request) -> Response:
        body = parse_rerank(await read_json(request))
        record = record_of(request.scope)
        record.model = body.model

        async def work() -> bytes:
            wanted = request_to_proto(body)
            answer = await upstream.rerank(wanted, record.request_id, timeout_seconds)
            record.prompt_tokens = answer.prompt_tokens
            return answer_to_cohere(answer, body, f"rerank-{uuid.uuid4().hex}")

        return UnaryResponse(work, NAMES)

    return router
