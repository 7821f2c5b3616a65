"""`/v1/admin/models`: load, unload, pull, delete and watch models."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.admin.events import (
    deleted_body,
    load_event,
    model_body,
    pull_event,
    pulled_body,
    watch_event,
)
from rest_gateway.admin.schema import (
    WATCH_LISTS,
    DeleteQuery,
    WatchQuery,
    parse_load,
    parse_pull,
    parse_unload,
)
from rest_gateway.admin.translate import (
    NAMES,
    PULL_NAMES,
    WATCH_NAMES,
    delete_to_proto,
    load_to_proto,
    pull_to_proto,
    unload_to_proto,
    watch_to_proto,
)
from rest_gateway.openai import sse
from rest_gateway.openai.models import check_model_name
from rest_gateway.openai.query import parse_query
from rest_gateway.routes.client import read_json
from rest_gateway.routes.progress import ProgressForm, ProgressResponse, first_of, last_of
from rest_gateway.routes.unary import UnaryResponse
from rest_gateway.telemetry.logging import record_of
from rest_gateway.upstream import Upstream


def admin_router(upstream: Upstream, keepalive_seconds: float) -> APIRouter:
    """Make the routes that change models, and the one that watches them.

    Args:
        upstream: The service.
        keepalive_seconds: Silence on a stream, before a comment is sent.

    """
    router = APIRouter(prefix="/v1/admin/models")
    load_form = ProgressForm(load_event, sse.DONE, NAMES, keepalive_seconds)
    pull_form = ProgressForm(pull_event, sse.DONE, PULL_NAMES, keepalive_seconds)
    watch_form = ProgressForm(watch_event, sse.DONE, WATCH_NAMES, keepalive_seconds)

    @router.post("/load")
    async def load_model(request: Request) -> Response:
        body = parse_load(await read_json(request))
        record = record_of(request.scope)
        record.model, record.stream = body.model, bool(body.stream)
        wanted = load_to_proto(body)

        async def work() -> bytes:
            call = upstream.models.load(wanted, record.request_id)
            change = await (first_of(call) if body.detach else last_of(call))
            return model_body(change.model)

        if body.stream:
            return ProgressResponse(
                lambda: upstream.models.load(wanted, record.request_id), load_form, record
            )
        return UnaryResponse(work, NAMES, 202 if body.detach else 200, tell_causes=True)

    @router.post("/unload")
    async def unload_model(request: Request) -> Response:
        body = parse_unload(await read_json(request))
        record = record_of(request.scope)
        record.model = body.model

        async def work() -> bytes:
            return model_body(
                await upstream.models.unload(unload_to_proto(body), record.request_id)
            )

        return UnaryResponse(work, NAMES, tell_causes=True)

    @router.post("/pull")
    async def pull_model(request: Request) -> Response:
        body = parse_pull(await read_json(request))
        record = record_of(request.scope)
        record.model, record.stream = body.name, bool(body.stream)
        wanted = pull_to_proto(body)

        async def work() -> bytes:
            return pulled_body(await last_of(upstream.models.pull(wanted, record.request_id)))

        if body.stream:
            return ProgressResponse(
                lambda: upstream.models.pull(wanted, record.request_id), pull_form, record
            )
        return UnaryResponse(work, PULL_NAMES, tell_causes=True)

    @router.get("/watch")
    async def watch_models(request: Request) -> Response:
        query = parse_query(WatchQuery, request.query_params.multi_items(), WATCH_LISTS)
        record = record_of(request.scope)
        record.stream = True
        wanted = watch_to_proto(query)
        return ProgressResponse(
            lambda: upstream.models.watch(wanted, record.request_id),
            watch_form,
            record,
            request.app.state.draining,
        )

    # Names may have slashes: `OWNER/NAME`.
    @router.delete("/{name:path}")
    async def delete_model(request: Request, name: str) -> Response:
        check_model_name(name)
        query = parse_query(DeleteQuery, request.query_params.multi_items())
        record = record_of(request.scope)
        record.model = name

        async def work() -> bytes:
            await upstream.models.delete(delete_to_proto(name, query), record.request_id)
            return deleted_body(name)

        return UnaryResponse(work, NAMES, tell_causes=True)

    return router
