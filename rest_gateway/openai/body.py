"""The bodies of requests, of which most name a model."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TypeVar

from pydantic import ValidationError

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.invalid import invalid_request
from rest_gateway.openai.models import check_model_name


class _Body(Protocol):
    @classmethod
    def model_validate_json(cls, body: bytes, /) -> Self: ...


class _Request(_Body, Protocol):
    model: str


_AnyKind = TypeVar("_AnyKind", bound=_Body)
_Kind = TypeVar("_Kind", bound=_Request)


def parse(
    kind: type[_Kind],
    body: bytes,
    problem: Callable[[ValidationError], ApiError] = invalid_request,
) -> _Kind:
    """Read the body of a request that names a model.

    Args:
        kind: What it is to be.
        body: JSON.
        problem: Says what is wrong with it first, in an API's words.

    Raises:
        ApiError: It is not JSON, or not such a request. Or its model's name is one that no model
            has.

    """
    request = parse_body(kind, body, problem)
    check_model_name(request.model)
    return request


def parse_body(
    kind: type[_AnyKind],
    body: bytes,
    problem: Callable[[ValidationError], ApiError] = invalid_request,
) -> _AnyKind:
    """Read the body of a request that names no model; otherwise as `parse`."""
    with _no_collection():
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise problem(error) from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave garbage be: JSON makes no circles.

    8 MB have room for millions of lists. Their mere number would have the collector look at each of
    them again and again, and the event loop wait over a second.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
