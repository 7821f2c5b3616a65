"""`GET /v1/health`: whether requests would be answered. The only route that needs no key."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.errors import retry_after
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream


def health_router(upstream: Upstream) -> APIRouter:
    """Make the route of health; `app.state.draining` says whether the gateway is shutting down."""
    router = APIRouter()

    @router.api_route("/v1/health", methods=["GET", "HEAD"])
    async def health(request: Request) -> Response:
        draining: bool = request.app.state.draining
        problem = "the gateway is shutting down" if draining else await upstream.check_health()
        if problem is None:
            return _json(200, {"status": "ok"})
        record_of(request.scope).error = problem
        return _json(503, {"status": "unavailable", "reason": problem})

    return router


def _json(status: int, content: object) -> Response:
    return Response(
        msgspec.json.encode(content),
        status,
        retry_after(1) if status == 503 else None,
        media_type="application/json",
    )
