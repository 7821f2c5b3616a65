"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
import uuid

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.answer import BodyWriter, StreamWriter
from rest_gateway.openai.chat.chunks import ChunkWriter
from rest_gateway.openai.chat.completion import CompletionWriter
from rest_gateway.openai.chat.schema import parse_chat_completion
from rest_gateway.openai.chat.translate import names_of, request_to_proto
from rest_gateway.routes.client import read_json
from rest_gateway.routes.generation import GenerationLimits, GenerationResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream


def chat_router(upstream: Upstream, limits: GenerationLimits) -> APIRouter:
    """Make the routes of chat completions."""
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def create_chat_completion(request: Request) -> Response:
        body = parse_chat_completion(await read_json(request))
        record = record_of(request.scope)
        record.model, record.stream = body.model, bool(body.stream)
        completion_id, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        writer: StreamWriter | BodyWriter
        if body.stream:
            writer = ChunkWriter(
                completion_id,
                created,
                body.model,
                body.choices,
                include_usage=body.include_usage,
                obfuscate=body.include_obfuscation,
            )
        else:
            writer = CompletionWriter(
                completion_id, created, body.model, body.choices, logprobs=bool(body.logprobs)
            )
        wanted = request_to_proto(body)
        return GenerationResponse(
            lambda: upstream.generate(wanted, record.request_id, limits.request_timeout_seconds),
            writer,
            record,
            names_of(body),
            limits.sse_keepalive_seconds,
        )

    return router
