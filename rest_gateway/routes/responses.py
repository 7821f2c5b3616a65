"""`/v1/responses`: made, counted, and those that are kept."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.responses.conversation import Conversation, read_conversation
from rest_gateway.openai.responses.counter import TokenCounter
from rest_gateway.openai.responses.lifecycle import Lifecycle
from rest_gateway.openai.responses.output import Output
from rest_gateway.openai.responses.response import ResponseForm
from rest_gateway.openai.responses.schema import (
    ResponseRequest,
    parse_input_tokens_request,
    parse_response_request,
)
from rest_gateway.openai.responses.store import ResponseStore
from rest_gateway.openai.responses.translate import NAMES, chat_to_proto, request_to_proto
from rest_gateway.openai.responses.writers import EventWriter, ResponseWriter
from rest_gateway.routes.background import BackgroundResponses, BackgroundRun
from rest_gateway.routes.client import read_json
from rest_gateway.routes.generation import GenerationLimits, GenerationResponse
from rest_gateway.telemetry.logging import RequestRecord, record_of
from rest_gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Responses:
    """Makes responses.

    Attributes:
        upstream: The service.
        limits: How long things may take.
        store: Where responses are kept.
        background: Responses that run while no client waits for them.

    """

    upstream: Upstream
    limits: GenerationLimits
    store: ResponseStore
    background: BackgroundResponses

    async def create(self, body: ResponseRequest, record: RequestRecord) -> Response:
        """Answer a request for a response.

        Raises:
            ApiError: It can't be answered.

        """
        record.model, record.stream = body.model, bool(body.stream)
        conversation = read_conversation(body, self.store, owner_of(record))
        chat = chat_to_proto(body, conversation.items)
        if body.truncation == "auto":
            chat = await self.counter(record).truncate(body, chat)
        wanted = request_to_proto(body, chat)
        start = partial(
            self.upstream.generate,
            wanted,
            record.request_id,
            self.limits.request_timeout_seconds,
        )
        response_id = f"resp_{uuid.uuid4().hex}"
        lifecycle = self._lifecycle(body, conversation, response_id)
        if body.background:
            self.background.check_room()
            run = BackgroundRun(response_id, conversation.turn, lifecycle, start())
            # Written before it starts: queued.
            answer = json_response(lifecycle.written())
            self.background.start(run)
            return answer
        writer: EventWriter | ResponseWriter
        if body.stream:
            writer = EventWriter(lifecycle, obfuscate=body.obfuscated)
        else:
            writer = ResponseWriter(lifecycle)
        return GenerationResponse(start, writer, record, NAMES, self.limits.sse_keepalive_seconds)

    def counter(self, record: RequestRecord) -> TokenCounter:
        """Make what counts the tokens of a request."""
        return TokenCounter(self.upstream, record.request_id, self.limits.request_timeout_seconds)

    def _lifecycle(
        self, body: ResponseRequest, conversation: Conversation, response_id: str
    ) -> Lifecycle:
        def keep(response: dict[str, Any]) -> bool:
            return self.store.put(response, conversation.turn)

        return Lifecycle(
            ResponseForm(body, response_id, int(time.time())),
            Output(logprobs=body.logprobs),
            keep if body.stored else None,
            "queued" if body.background else "in_progress",
        )


def responses_router(responses: Responses) -> APIRouter:
    """Make the routes that make and count responses."""
    router = APIRouter()

    @router.post("/v1/responses")
    async def create_response(request: Request) -> Response:
        body = parse_response_request(await read_json(request))
        return await responses.create(body, record_of(request.scope))

    @router.post("/v1/responses/input_tokens")
    async def count_input_tokens(request: Request) -> Response:
        body = parse_input_tokens_request(await read_json(request))
        record = record_of(request.scope)
        record.model = body.model
        conversation = read_conversation(body, responses.store, owner_of(record))
        chat = chat_to_proto(body, conversation.items)
        record.prompt_tokens = await responses.counter(record).count(body, chat)
        return json_response(
            {"object": "response.input_tokens", "input_tokens": record.prompt_tokens}
        )

    return router


def owner_of(record: RequestRecord) -> str:
    """Name the API key that a request came with."""
    assert record.key_id is not None  # the middleware lets nothing else pass
    return record.key_id


def json_response(content: object) -> Response:
    """Answer with JSON."""
    return Response(msgspec.json.encode(content), media_type="application/json")
