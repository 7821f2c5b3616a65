"""Anthropic's API: `POST /v1/messages` and `POST /v1/messages/count_tokens`."""

from __future__ import annotations

import uuid

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.anthropic.events import EventWriter
from rest_gateway.anthropic.message import MessageWriter
from rest_gateway.anthropic.schema import parse_count_tokens, parse_messages
from rest_gateway.anthropic.translate import count_tokens_to_proto, messages_to_proto
from rest_gateway.openai.answer import BodyWriter, StreamWriter
from rest_gateway.openai.failures import to_api_error
from rest_gateway.routes.client import read_json
from rest_gateway.routes.generation import GenerationLimits, GenerationResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream, UpstreamError


def messages_router(upstream: Upstream, limits: GenerationLimits) -> APIRouter:
    """Make the routes of messages."""
    router = APIRouter()

    @router.post("/v1/messages")
    async def create_message(request: Request) -> Response:
        body = parse_messages(await read_json(request))
        record = record_of(request.scope)
        record.model, record.stream = body.model, bool(body.stream)
        message_id = f"msg_{uuid.uuid4().hex}"
        shown = body.thinking is None or body.thinking.display != "omitted"
        writer: StreamWriter | BodyWriter
        if body.stream:
            writer = EventWriter(message_id, body.model, record.request_id, show_thinking=shown)
        else:
            writer = MessageWriter(message_id, body.model, show_thinking=shown)
        wanted, names = messages_to_proto(body)
        return GenerationResponse(
            lambda: upstream.generate(wanted, record.request_id, limits.request_timeout_seconds),
            writer,
            record,
            names,
            limits.sse_keepalive_seconds,
        )

    @router.post("/v1/messages/count_tokens")
    async def count_tokens(request: Request) -> Response:
        body = parse_count_tokens(await read_json(request))
        record = record_of(request.scope)
        record.model = body.model
        wanted, names = count_tokens_to_proto(body)
        try:
            answer = await upstream.tokenize(
                wanted, record.request_id, limits.request_timeout_seconds
            )
        except UpstreamError as error:
            raise to_api_error(error, names) from error
        record.prompt_tokens = len(answer.token_ids)
        return Response(
            msgspec.json.encode({"input_tokens": record.prompt_tokens}),
            media_type="application/json",
        )

    return router
