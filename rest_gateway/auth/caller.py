"""The key that a request came with, known to all that answers it."""

from __future__ import annotations

from typing import cast

from starlette.types import Scope

from rest_gateway.auth.key_record import KeyRecord

_CALLER = "rest_gateway.caller"


def attach_caller(scope: Scope, key: KeyRecord) -> None:
    """Make a request's key known to the layers below."""
    scope[_CALLER] = key


def caller_of(scope: Scope) -> KeyRecord:
    """Find a request's key. Only the routes that need none are reached without one."""
    return cast("KeyRecord", scope[_CALLER])
