"""`POST /v1/tokenize` and `POST /v1/detokenize`; also without `/v1`, as vLLM has them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.body import parse
from rest_gateway.routes.client import read_json
from rest_gateway.routes.unary import UnaryResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream
from rest_gateway.vllm.schema import DetokenizeRequest, TokenizeRequest
from rest_gateway.vllm.translate import (
    DETOKENIZE_NAMES,
    detokenize_to_proto,
    names_of,
    text_to_vllm,
    tokenize_to_proto,
    tokens_to_vllm,
)


def tokenize_router(upstream: Upstream, timeout_seconds: float) -> APIRouter:
    """Make the routes of tokenizing.

    Args:
        upstream: The service.
        timeout_seconds: Time that a request may take.

    """
    router = APIRouter()

    @router.post("/tokenize")
    @router.post("/v1/tokenize")
    async def tokenize(request: Request) -> Response:
        body = parse(TokenizeRequest, await read_json(request))
        record = record_of(request.scope)
        record.model = body.model

        async def encode() -> bytes:
            wanted = tokenize_to_proto(body)
            answer = await upstream.tokenize(wanted, record.request_id, timeout_seconds)
            record.prompt_tokens = len(answer.token_ids)
            return tokens_to_vllm(answer)

        return UnaryResponse(encode, names_of(body))

    @router.post("/detokenize")
    @router.post("/v1/detokenize")
    async def detokenize(request: Request) -> Response:
        body = parse(DetokenizeRequest, await read_json(request))
        record = record_of(request.scope)
        record.model = body.model

        async def decode() -> bytes:
            wanted = detokenize_to_proto(body)
            answer = await upstream.detokenize(wanted, record.request_id, timeout_seconds)
            return text_to_vllm(answer)

        return UnaryResponse(decode, DETOKENIZE_NAMES)

    return router
