"""Lets only requests pass whose API key has a route's scope."""

from __future__ import annotations

from starlette.requests import Request

from rest_gateway.auth.caller import caller_of
from rest_gateway.openai import errors


class Permission:
    """A dependency of routes: it is asked once the route is found, before the body is read.

    Args:
        scope: What the key must have.

    """

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        """Check a request's key.

        Raises:
            ApiError: It has not the scope.

        """
        if self.scope not in caller_of(request.scope).scopes:
            raise errors.insufficient_permissions(self.scope)
