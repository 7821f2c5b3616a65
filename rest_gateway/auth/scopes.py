"""What a key may be used for; `rest_gateway.app` has the table of what each route needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

INFERENCE = "inference"
MODELS_READ = "models:read"
MODELS_WRITE = "models:write"

SCOPES = (INFERENCE, MODELS_READ, MODELS_WRITE)
# Also of keys that were made before there were scopes: what those could do until then.
DEFAULT_SCOPES = (INFERENCE, MODELS_READ)


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Give scopes once each, in the order of `SCOPES`.

    Raises:
        ValueError: One is not a scope, or there is none.

    """
    given = set(scopes)
    if not given:
        raise ValueError("a key needs a scope; without one it is of no use")
    for scope in sorted(given - set(SCOPES)):
        raise ValueError(f"{scope!r} is not a scope; there are {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


def has_all(scopes: Collection[str]) -> bool:
    """Say whether these are all that this version knows."""
    return set(SCOPES) <= set(scopes)
