"""`/v1/responses/{id}`: responses that are kept, or that run in the background."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.query import parse_query
from rest_gateway.openai.responses.queries import LISTS, InputItemsQuery, RetrieveQuery
from rest_gateway.openai.responses.store import ResponseStore, StoredResponse
from rest_gateway.openai.shown import quoted
from rest_gateway.routes.background import BackgroundResponses, BackgroundRun
from rest_gateway.routes.responses import json_response, owner_of
from rest_gateway.telemetry.logging import record_of


def kept_responses_router(store: ResponseStore, background: BackgroundResponses) -> APIRouter:
    """Make the routes of responses that there are."""
    router = APIRouter()

    def find(request: Request, response_id: str) -> BackgroundRun | StoredResponse:
        owner = owner_of(record_of(request.scope))
        found = background.get(response_id, owner) or store.get(response_id, owner)
        if found is None:
            raise ApiError(
                404,
                f"Response with id {quoted(response_id)} not found.",
                code="response_not_found",
                reason="response_not_found",
            )
        return found

    @router.get("/v1/responses/{response_id}")
    async def retrieve_response(request: Request, response_id: str) -> Response:
        parse_query(RetrieveQuery, request.query_params.multi_items(), LISTS)
        return _as_it_is(find(request, response_id))

    @router.delete("/v1/responses/{response_id}")
    async def delete_response(request: Request, response_id: str) -> Response:
        found = find(request, response_id)
        if isinstance(found, BackgroundRun):
            await found.cancel()
        store.delete(response_id, found.turn.owner)
        return json_response({"id": response_id, "object": "response", "deleted": True})

    @router.post("/v1/responses/{response_id}/cancel")
    async def cancel_response(request: Request, response_id: str) -> Response:
        found = find(request, response_id)
        if isinstance(found, BackgroundRun):
            await found.cancel()
        elif not msgspec.json.decode(found.body)["background"]:
            raise ApiError(
                400,
                f"The response {quoted(response_id)} was not made in the background: it ends when "
                "its client leaves, and can't be cancelled otherwise.",
                code="not_in_background",
                reason="not_in_background",
            )
        return _as_it_is(found)

    @router.get("/v1/responses/{response_id}/input_items")
    async def list_input_items(request: Request, response_id: str) -> Response:
        query = parse_query(InputItemsQuery, request.query_params.multi_items(), LISTS)
        return json_response(_page(find(request, response_id).turn.all_input(), query))

    return router


def _as_it_is(found: BackgroundRun | StoredResponse) -> Response:
    if isinstance(found, StoredResponse):
        return Response(found.body, media_type="application/json")
    return json_response(found.lifecycle.written())


def _page(items: list[bytes], query: InputItemsQuery) -> dict[str, Any]:
    if query.order == "desc":
        items = items[::-1]
    ids = [msgspec.json.decode(item)["id"] for item in items]
    first = 0
    if query.after is not None:
        if query.after not in ids:
            raise ApiError(
                400,
                f"Invalid value for 'after': there is no item {quoted(query.after)}.",
                code="invalid_value",
                param="after",
                reason="invalid_value",
            )
        first = ids.index(query.after) + 1
    last = first + query.limit
    shown = ids[first:last]
    return {
        "object": "list",
        "data": [msgspec.Raw(item) for item in items[first:last]],
        "first_id": shown[0] if shown else "",
        "last_id": shown[-1] if shown else "",
        "has_more": len(ids) > last,
    }
