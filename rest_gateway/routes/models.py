"""`GET /v1/models` and `GET /v1/models/{id}`: the models that answer now, or all."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.auth.caller import caller_of
from rest_gateway.auth.scopes import MODELS_WRITE
from rest_gateway.openai import errors
from rest_gateway.openai.models import (
    ModelsQuery,
    adapter_of,
    check_model_name,
    is_ready,
    list_to_openai,
    model_to_openai,
    without_adapter,
)
from rest_gateway.openai.query import parse_query
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream, UpstreamError


def models_router(upstream: Upstream) -> APIRouter:
    """Make the routes of models."""
    router = APIRouter()

    @router.get("/v1/models")
    async def list_models(request: Request) -> Response:
        # Clients send what they like with it, such as their version; that is left alone.
        sent = [item for item in request.query_params.multi_items() if item[0] == "state"]
        query = parse_query(ModelsQuery, sent)
        models = await upstream.models.list(record_of(request.scope).request_id)
        shown = [model for model in models if query.state == "all" or is_ready(model)]
        data = list(list_to_openai(shown, tell_causes=_may_know_causes(request)))
        return _json({"object": "list", "data": data})

    # Names may have slashes: `OWNER/NAME`.
    @router.get("/v1/models/{name:path}")
    async def retrieve_model(request: Request, name: str) -> Response:
        check_model_name(name)
        return _json(await _retrieve(upstream, request, name))

    return router


async def _retrieve(upstream: Upstream, request: Request, name: str) -> dict[str, Any]:
    """Find the model that a name stands for, which may be one with an adapter.

    Raises:
        ApiError: There is no such model, or it has no such adapter.
        UpstreamError: The service could not be asked.

    """
    request_id = record_of(request.scope).request_id
    base = without_adapter(name)
    try:
        model = await upstream.models.get(name, request_id)
    except UpstreamError as error:
        if base is None or error.reason != "MODEL_NOT_FOUND":
            raise
        try:
            model = await upstream.models.get(base, request_id)
        except UpstreamError as other:
            raise (error if other.reason == "MODEL_NOT_FOUND" else other) from None
        if adapter_of(model, name) is None:
            raise errors.model_not_found(name) from None
    return model_to_openai(model, name, tell_causes=_may_know_causes(request))


def _may_know_causes(request: Request) -> bool:
    """Say whether a caller may know why a model failed: the cause names paths of the server's."""
    return MODELS_WRITE in caller_of(request.scope).scopes


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
