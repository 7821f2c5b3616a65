"""JSON objects that travel as text inside a request."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from inference_service.errors import InvalidArgument

MAX_DEPTH = 64
_MAX_DIGITS = 400


def json_object_from_text(text: str, field: str, max_characters: int) -> dict[str, Any]:
    """Read a JSON object strictly, as RFC 8259 has it and with each key once.

    Args:
        text: The JSON.
        field: The request's field, for errors.
        max_characters: How long it may be.

    Raises:
        InvalidArgument: It is too long, no JSON, no object, or nested over `MAX_DEPTH` deep.

    """
    if len(text) > max_characters:
        raise InvalidArgument(field, f"is longer than {max_characters} characters")
    try:
        value = _DECODER.decode(text)
        _check(value)
    except json.JSONDecodeError as error:
        raise InvalidArgument(field, f"is no JSON: {error}") from error
    except RecursionError as error:
        raise InvalidArgument(field, f"is nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:
        raise InvalidArgument(field, str(error)) from error
    if not isinstance(value, dict):
        raise InvalidArgument(field, "is no object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"has the key {twice!r} twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"has a number beyond all bounds: {text[:40]}")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"has a number of more than {_MAX_DIGITS} digits")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"is no JSON: {text} is no number")


def _check(value: Any) -> None:
    """Refuse what is nested too deep, and text that is no Unicode: half a surrogate pair."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not item.isascii():
                try:
                    item.encode()
                except UnicodeEncodeError:
                    raise ValueError("has half a surrogate pair, which is no text") from None
        level = below
        if not level:
            return
    raise ValueError(f"is nested deeper than {MAX_DEPTH}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_int=_whole, parse_constant=_no_number
)
