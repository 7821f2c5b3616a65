"""Anthropic's error objects.

Which failure has which HTTP status is said in `rest_gateway.openai.errors`, once for all APIs; here
is what differs.

Source of the shape: https://docs.anthropic.com/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.strict import UNSUPPORTED

_PATH = "/v1/messages"

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_OVERLOADED = 529
# What has no room is the server, whoever calls: Anthropic says so with a status of its own. Its
# clients try again after 429, 529 and any other 5xx alike, and after the time in `retry-after`.
_OVERLOADED_CODES = frozenset({"queue_full", "overloaded"})

# By these words clients tell that they are to shorten the conversation.
_TOO_LONG = "prompt is too long: "


def is_anthropic(path: str) -> bool:
    """Say whether a URL's path is of Anthropic's API."""
    return path == _PATH or path.startswith(f"{_PATH}/")


def status_of(error: ApiError) -> int:
    """Return the HTTP status of an error."""
    return _OVERLOADED if error.code in _OVERLOADED_CODES else error.status


def error_body(error: ApiError, request_id: str) -> bytes:
    """Write an error object as JSON."""
    status = status_of(error)
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    message = error.message
    if error.code == "context_length_exceeded" and error.param != "max_tokens":
        message = _TOO_LONG + message
    shown: dict[str, Any] = {"type": kind, "message": message}
    if error.code:
        shown["details"] = _details(error)
    return msgspec.json.encode({"type": "error", "error": shown, "request_id": request_id})


def _details(error: ApiError) -> dict[str, Any]:
    """Name the cause for programs."""
    if error.code == UNSUPPORTED and error.param == "thread":
        # At this the SDK's runner of tools sends whole conversations.
        return {"error_code": "thread_unsupported_request", "unsupported": []}
    return {"error_code": error.code}
