"""A JSON Schema as a document: strictly JSON, bounded, with pointers into it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, unquote

from inference_service.grammar.problem import Problem

MAX_BYTES = 128 << 10
MAX_DEPTH = 64
_MAX_DIGITS = 400  # Python refuses to read some thousands
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})")  # RFC 6901, section 4; no list here is as long


def parse(source: str | Mapping[str, Any]) -> Any:
    """Return the value of a JSON text; a mapping is taken as if it were written.

    Raises:
        Problem: It isn't JSON, has a key twice, or is too large or too deep.

    """
    if not isinstance(source, str):
        try:
            source = json.dumps(source, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise Problem("is not JSON") from error
    if len(source.encode(errors="surrogatepass")) > MAX_BYTES:
        raise Problem(f"is longer than {MAX_BYTES} bytes")
    try:
        value = json.loads(
            source,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        raise Problem(f"is not JSON: {error}") from error
    except RecursionError as error:
        raise Problem(f"is nested deeper than {MAX_DEPTH}") from error
    _check_depth(value)
    try:
        source.encode()
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Problem("has half of a surrogate pair") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, inner in pairs:
        if key in value:
            raise Problem(f"has the key {key!r} twice in an object")
        value[key] = inner
    return value


def _constant(name: str) -> NoReturn:
    raise Problem(f"is not JSON: {name} is no number there")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Problem(f"has the number {text[:40]}, which is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise Problem(f"has a number of more than {_MAX_DIGITS} digits")
    return int(text)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [v for v in level if isinstance(v, dict | list)]
        if not containers:
            return
        level = [inner for v in containers for inner in (v.values() if isinstance(v, dict) else v)]
    raise Problem(f"is nested deeper than {MAX_DEPTH}")


def pointer(*steps: str | int) -> str:
    """Return the steps from the root as a JSON Pointer in a URI's fragment (RFC 6901)."""
    return "#" + "".join(
        "/" + quote(str(step).replace("~", "~0").replace("/", "~1"), safe="$~!'()*+,;=:@&")
        for step in steps
    )


def resolve(document: Any, reference: str) -> Any:
    """Return what a reference within a document points at.

    Raises:
        Problem: It points outside or at nothing.

    """
    if reference != "#" and not reference.startswith("#/"):
        raise Problem(f"$ref to {reference!r} can't be followed: only #/... can")
    value = document
    for step in unquote(reference[1:]).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            raise Problem(f"$ref to {reference!r} points at nothing")
    return value
