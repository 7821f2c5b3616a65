"""Lets only requests with a valid API key pass."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from rest_gateway.auth.keys import KeyRecord
from rest_gateway.openai import errors
from rest_gateway.telemetry.logging import record_of

# Orchestrators probe without a key.
OPEN = frozenset({("GET", "/v1/health"), ("HEAD", "/v1/health")})


class ApiKeyMiddleware:
    """Checks `Authorization: Bearer KEY` before a route is looked for or the body is read.

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
        if scope["type"] == "http" and (scope["method"], scope["path"]) not in OPEN:
            key = self._verify(_bearer_token(scope))
            if key is None:
                raise errors.invalid_api_key("Incorrect API key provided.")
            record_of(scope).key_id = key.id
        await self._app(scope, receive, send)


def _bearer_token(scope: Scope) -> str:
    """Read the key that a request gives.

    Raises:
        ApiError: There is none, or more than one.

    """
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        raise errors.invalid_api_key(
            "You didn't provide an API key. Send it in a header: Authorization: Bearer YOUR_KEY."
        )
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    # RFC 9110, section 11.1: the scheme's case does not matter; the key's does.
    if len(given) > 1 or scheme.lower() != "bearer":
        raise errors.invalid_api_key(
            "The Authorization header is not understood. Send one: Authorization: Bearer YOUR_KEY."
        )
    return token.strip()
