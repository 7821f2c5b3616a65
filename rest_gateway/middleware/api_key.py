"""Lets only requests with a valid API key pass."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from rest_gateway.auth.caller import attach_caller
from rest_gateway.auth.key_record import KeyRecord
from rest_gateway.openai import errors
from rest_gateway.telemetry.logging import record_of

# Orchestrators probe without a key; and the documentation tells what every copy of this program
# tells.
OPEN_PATHS = frozenset(
    {
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
        "/health",
        "/openapi.json",
        "/v1/health",
    }
)


class ApiKeyMiddleware:
    """Checks the key before a route is looked for or the body is read.

    It comes as OpenAI's clients send it, in `Authorization: Bearer KEY`, or as Anthropic's do, in
    `x-api-key: KEY`; every route takes both.

    Args:
        app: What a request with a valid key reaches.
        verify: Finds a key's record; None if the key is not valid.

    """

    def __init__(self, app: ASGIApp, verify: Callable[[str], KeyRecord | None]) -> None:
        self._app = app
        self._verify = verify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            ApiError: There is no valid key.

        """
        if scope["type"] == "http" and not _is_open(scope):
            key = self._verify(_key(scope))
            if key is None:
                raise errors.invalid_api_key("Incorrect API key provided.")
            record_of(scope).key_id = key.id
            attach_caller(scope, key)
        await self._app(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    return scope["path"] in OPEN_PATHS and scope["method"] in {"GET", "HEAD"}


def _key(scope: Scope) -> str:
    """Read the key that a request gives.

    Raises:
        ApiError: There is none, or more than one.

    """
    keys = {value.decode("latin-1").strip() for value in _headers(scope, b"x-api-key")}
    if authorization := _headers(scope, b"authorization"):
        keys.add(_bearer_token(authorization))
    if not keys:
        raise errors.invalid_api_key(
            "You didn't provide an API key. Send it in a header: Authorization: Bearer YOUR_KEY, "
            "or x-api-key: YOUR_KEY."
        )
    if len(keys) > 1:
        raise errors.invalid_api_key(
            "The headers Authorization and x-api-key give different API keys. Send one."
        )
    return keys.pop()


def _headers(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


def _bearer_token(given: list[bytes]) -> str:
    """Read the key in an `Authorization` header.

    Raises:
        ApiError: There is more than one, or none in it.

    """
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    # RFC 9110, section 11.1: the scheme's case does not matter; the key's does.
    if len(given) > 1 or scheme.lower() != "bearer":
        raise errors.invalid_api_key(
            "The Authorization header is not understood. Send one: Authorization: Bearer YOUR_KEY."
        )
    return token.strip()
