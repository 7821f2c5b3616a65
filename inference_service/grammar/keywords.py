"""The keywords of JSON Schema: which are enforced, which say nothing, and what values they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_service.grammar.problem import Problem

MAX_COUNT = 1 << 16
ANNOTATIONS = frozenset(
    {
        "$comment",
        "$defs",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "discriminator",
        "example",
        "examples",
        "externalDocs",
        "readOnly",
        "title",
        "writeOnly",
        "xml",
    }
)
"""Keywords that forbid nothing; so do those that begin with `x-`, and `$id` at the root."""

WHOLE = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
"""Keywords that are enforced alone: nothing else that forbids may be beside them."""

OF_TYPE: Mapping[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
}
"""Keywords by the type that they are about; about any other, they say nothing."""

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

_VACUOUS: Mapping[str, Any] = {
    "uniqueItems": False,
    "minProperties": 0,
    "nullable": False,
    "unevaluatedItems": True,
    "unevaluatedProperties": True,
}
_KNOWN = frozenset({"type", *WHOLE, *(word for words in OF_TYPE.values() for word in words)})


def constraining(schema: Mapping[str, Any], *, root: bool) -> dict[str, Any]:
    """Return the keywords of a schema that forbid something.

    Raises:
        Problem: One of them can't be enforced.

    """
    found = {}
    for word, value in schema.items():
        if word in ANNOTATIONS or word.startswith("x-") or (root and word == "$id"):
            continue
        if word in _VACUOUS and value == _VACUOUS[word]:
            continue
        if word not in _KNOWN:
            raise Problem(f"{word} can't be enforced")
        found[word] = value
    for whole in WHOLE:
        if whole in found:
            allowed = {whole, "type"} if whole in ("const", "enum") else {whole}
            beside = next((word for word in found if word not in allowed), None)
            if beside is not None:
                raise Problem(f"{beside} can't be enforced beside {whole}")
            break
    return found


def types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types that a schema allows: those that it names, or that its keywords are about.

    Raises:
        Problem: One is no type of JSON Schema.

    """
    if "type" not in schema:
        about = tuple(t for t, words in OF_TYPE.items() if any(word in schema for word in words))
        return about or TYPES
    named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for name in named:
        if name not in TYPES:
            raise Problem(f"type {name!r} is none of {', '.join(TYPES)}")
    if not named:
        raise Problem("type names none")
    return tuple(dict.fromkeys(named))


def count(schema: Mapping[str, Any], word: str) -> int | None:
    """Return the value of a keyword that counts something.

    Raises:
        Problem: It is no whole number from 0.

    """
    if word not in schema:
        return None
    value = schema[word]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value % 1:
        raise Problem(f"{word} is no whole number from 0")
    return int(value)


def counts(schema: Mapping[str, Any], least: str, most: str) -> tuple[int, int | None]:
    """Return the values of two keywords that bound a count.

    Raises:
        Problem: They allow nothing, or are no counts, or the lower one is too large.

    """
    low, high = count(schema, least) or 0, count(schema, most)
    if low > MAX_COUNT:
        raise Problem(f"{least} of more than {MAX_COUNT} can't be enforced")
    if high is not None and low > high:
        raise Problem(f"{least} is more than {most}")
    # A limit that no completion comes near is enforced as one that some could.
    return low, None if high is None else min(high, MAX_COUNT)


def list_of(schema: Mapping[str, Any], word: str) -> list[Any]:
    """Return the value of a keyword that is a list with something in it.

    Raises:
        Problem: It isn't.

    """
    value = schema[word]
    if not isinstance(value, list) or not value:
        raise Problem(f"{word} is no list with something in it")
    return value
