"""`GET /v1/models` and `GET /v1/models/{id}`: the models that answer now."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai import errors
from rest_gateway.openai.models import check_model_name, is_ready, model_to_openai, state_of
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream


def models_router(upstream: Upstream) -> APIRouter:
    """Make the routes of models."""
    router = APIRouter()

    @router.get("/v1/models")
    async def list_models(request: Request) -> Response:
        models = await upstream.list_models(record_of(request.scope).request_id)
        ready = [model_to_openai(model) for model in models if is_ready(model)]
        return _json({"object": "list", "data": ready})

    # Names may have slashes: `OWNER/NAME`.
    @router.get("/v1/models/{name:path}")
    async def retrieve_model(request: Request, name: str) -> Response:
        check_model_name(name)
        model = await upstream.get_model(name, record_of(request.scope).request_id)
        if not is_ready(model):
            raise replace(
                errors.model_not_found(name),
                message=f"The model {errors.model_is(name, state_of(model))}.",
            )
        return _json(model_to_openai(model))

    return router


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
