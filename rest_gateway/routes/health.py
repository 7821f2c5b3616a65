"""`GET /v1/health`: whether requests would be answered. The only route that needs no key.

It is at `/health` too, where probes of vLLM and llama.cpp look for it.
"""

from __future__ import annotations

from itertools import islice

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.errors import model_is, retry_after
from rest_gateway.openai.models import is_expected, is_ready, state_of
from rest_gateway.telemetry.logging import RequestRecord, record_of
from rest_gateway.upstream import Upstream, UpstreamError

_NAMED = 5


def health_router(upstream: Upstream) -> APIRouter:
    """Make the route of health; `app.state.draining` says whether the gateway is shutting down."""
    router = APIRouter()

    @router.api_route("/health", methods=["GET", "HEAD"])
    @router.api_route("/v1/health", methods=["GET", "HEAD"])
    async def health(request: Request) -> Response:
        record = record_of(request.scope)
        record.level = "debug"  # orchestrators ask every few seconds
        if request.app.state.draining.is_set():
            return _unavailable(record, "the gateway is shutting down")
        problem = await upstream.check_health()
        if problem is None:
            return _json(200, {"status": "ok"})
        models = await _unready(upstream, record.request_id) if problem.answered else {}
        return _unavailable(record, _reason(models) or problem.reason, models)

    return router


async def _unready(upstream: Upstream, request_id: str) -> dict[str, str]:
    """List the models that should answer and don't, with their states; none if not to be had."""
    try:
        models = await upstream.models.list(request_id)
    except UpstreamError:
        return {}
    return {
        model.name: state_of(model)
        for model in models
        if is_expected(model) and not is_ready(model)
    }


def _reason(models: dict[str, str]) -> str:
    named = [f"model {model_is(name, state)}" for name, state in islice(models.items(), _NAMED)]
    if len(models) > _NAMED:
        named.append(f"{len(models) - _NAMED} more are not ready")
    return ", ".join(named)


def _unavailable(
    record: RequestRecord, reason: str, models: dict[str, str] | None = None
) -> Response:
    record.error = reason
    content: dict[str, object] = {"status": "unavailable", "reason": reason}
    if models:
        content["models"] = models
    return _json(503, content)


def _json(status: int, content: object) -> Response:
    return Response(
        msgspec.json.encode(content),
        status,
        retry_after(1) if status == 503 else None,
        media_type="application/json",
    )
