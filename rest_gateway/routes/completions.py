"""`POST /v1/completions`."""

from __future__ import annotations

import time
import uuid
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.answer import BodyWriter, StreamWriter
from rest_gateway.openai.completions.schema import parse_completion
from rest_gateway.openai.completions.translate import names_of, request_to_protos
from rest_gateway.openai.completions.writers import TextChunkWriter, TextWriter
from rest_gateway.openai.failures import to_api_error
from rest_gateway.routes.client import read_json
from rest_gateway.routes.generation import GenerationLimits, GenerationResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Generation, MergedGeneration, Upstream, UpstreamError

_MAX_RUNNING = 32  # of one request's prompts: many prompts leave room in the queue for others


def completions_router(upstream: Upstream, limits: GenerationLimits) -> APIRouter:
    """Make the routes of text completions."""
    router = APIRouter()

    @router.post("/v1/completions")
    async def create_completion(request: Request) -> Response:
        body = parse_completion(await read_json(request))
        record = record_of(request.scope)
        record.model, record.stream = body.model, bool(body.stream)
        completion_id, created = f"cmpl-{uuid.uuid4().hex}", int(time.time())
        choices = len(body.prompts) * body.choices
        writer: StreamWriter | BodyWriter
        if body.stream:
            writer = TextChunkWriter(
                completion_id,
                created,
                body.model,
                choices,
                include_usage=body.include_usage,
                obfuscate=body.include_obfuscation,
            )
        else:
            writer = TextWriter(
                completion_id, created, body.model, choices, logprobs=body.logprobs is not None
            )
        wanted = request_to_protos(body)
        deadline = time.monotonic() + limits.request_timeout_seconds

        def start(prompt: int) -> Generation:
            left = max(0.0, deadline - time.monotonic())
            return upstream.generate(wanted[prompt], record.request_id, left)

        def explain(prompt: int, error: UpstreamError) -> Exception:
            return to_api_error(error, names_of(body, prompt))

        def start_all() -> Generation:
            starts = [partial(start, prompt) for prompt in range(len(wanted))]
            if len(starts) == 1:
                return starts[0]()
            return MergedGeneration(starts, body.choices, _MAX_RUNNING, explain)

        return GenerationResponse(
            start_all,
            writer,
            record,
            names_of(body, 0),
            limits.sse_keepalive_seconds,
        )

    return router
