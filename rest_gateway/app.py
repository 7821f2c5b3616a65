"""The gateway's ASGI application, put together from its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NoReturn

from fastapi import APIRouter, Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request

from rest_gateway.auth.keys import KeyStore
from rest_gateway.auth.scopes import INFERENCE, MODELS_READ, MODELS_WRITE
from rest_gateway.config import GatewayConfig
from rest_gateway.middleware.api_key import ApiKeyMiddleware
from rest_gateway.middleware.body_size import BodySizeMiddleware
from rest_gateway.middleware.failures import FailuresMiddleware
from rest_gateway.middleware.permission import Permission
from rest_gateway.middleware.request_log import RequestLogMiddleware
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.store import ResponseStore, StoreLimits
from rest_gateway.openai.shown import shorten
from rest_gateway.openapi.document import written_document
from rest_gateway.routes.admin import admin_router
from rest_gateway.routes.background import BackgroundResponses
from rest_gateway.routes.chat import chat_router
from rest_gateway.routes.completions import completions_router
from rest_gateway.routes.docs import docs_router
from rest_gateway.routes.embeddings import embeddings_router
from rest_gateway.routes.generation import GenerationLimits
from rest_gateway.routes.health import health_router
from rest_gateway.routes.kept_responses import kept_responses_router
from rest_gateway.routes.messages import messages_router
from rest_gateway.routes.models import models_router
from rest_gateway.routes.rerank import rerank_router
from rest_gateway.routes.responses import Responses, responses_router
from rest_gateway.routes.tokenize import tokenize_router
from rest_gateway.upstream import Upstream


def create_app(config: GatewayConfig, upstream: Upstream, keys: KeyStore) -> FastAPI:
    """Make the application.

    Args:
        config: Its limits.
        upstream: The service; the caller closes it.
        keys: Who may call.

    Returns:
        The application. Set its event `state.draining` when it is about to be stopped, and close
        its `state.background` before the service.

    """
    app = FastAPI(
        title="OpenVINO-Server",
        openapi_url=None,  # FastAPI's own document knows nothing of bodies that are read by hand
        redirect_slashes=False,
        # From the outside in: every request has an id and a log line, every failure is an error
        # object, and without a key there is nothing to find out, not even which routes exist.
        middleware=[
            Middleware(RequestLogMiddleware),
            Middleware(FailuresMiddleware),
            Middleware(ApiKeyMiddleware, verify=keys.verify),
            Middleware(BodySizeMiddleware, max_bytes=config.max_body_bytes),
        ],
        exception_handlers={HTTPException: _raise_api_error},
    )
    app.state.draining = asyncio.Event()
    limits = GenerationLimits(config.request_timeout_seconds, config.sse_keepalive_seconds)
    store = ResponseStore(
        StoreLimits(
            config.response_store_max_entries,
            config.response_store_max_bytes,
            config.response_store_ttl_seconds,
        )
    )
    background = BackgroundResponses(config.response_background_max_running)
    app.state.background = background
    # Which scope a key must have for which routes; None: no key is needed.
    table: Mapping[str | None, Sequence[APIRouter]] = {
        INFERENCE: (
            chat_router(upstream, limits),
            completions_router(upstream, limits),
            messages_router(upstream, limits),
            responses_router(Responses(upstream, limits, store, background)),
            kept_responses_router(store, background),
            embeddings_router(upstream, config.request_timeout_seconds),
            rerank_router(upstream, config.request_timeout_seconds),
            tokenize_router(upstream, config.request_timeout_seconds),
        ),
        MODELS_READ: (models_router(upstream),),
        MODELS_WRITE: (admin_router(upstream, config.sse_keepalive_seconds),),
        None: (
            health_router(upstream),
            docs_router(written_document(version("openvino-server"))),
        ),
    }
    for scope, routers in table.items():
        needed = [Depends(Permission(scope))] if scope else []
        for router in routers:
            app.include_router(router, dependencies=needed)
    return app


async def _raise_api_error(request: Request, error: Exception) -> NoReturn:
    """Say what the router says (no such route, no such method) as an error object."""
    assert isinstance(error, HTTPException)
    path = shorten(request.url.path)
    method = shorten(request.method)
    if error.status_code == 404:
        message, code = f"Invalid URL ({method} {path})", "unknown_url"
    elif error.status_code == 405:
        message, code = f"Not allowed to {method} on {path}", "method_not_supported"
    else:
        message, code = error.detail, "invalid_request"
    raise ApiError(error.status_code, message, code=code, headers=error.headers, reason=code)
