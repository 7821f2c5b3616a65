"""What alternatives and references of a schema come to: overlaps, circles, and no end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from inference_service.grammar import document, keywords
from inference_service.grammar.problem import Problem

_CHOICES = ("anyOf", "oneOf", "allOf")
_MOST_OPTIONS = 64  # of a oneOf, all pairs of which are looked at


def reaches(root: Any, schema: Any, reference: str) -> bool:
    """Whether a schema leads to a reference with nothing of a value in between."""
    seen: set[str] = set()
    pending = [schema]
    while pending:
        current = pending.pop()
        if not isinstance(current, dict):
            continue
        target = current.get("$ref")
        if target == reference:
            return True
        if isinstance(target, str) and target not in seen:
            seen.add(target)
            pending.append(document.resolve(root, target))
        for word in _CHOICES:
            if isinstance(options := current.get(word), list):
                pending.extend(options)
    return False


def finite_references(targets: Mapping[str, Any]) -> set[str]:
    """Return the references to schemas that some finite value matches."""
    known: set[str] = set()
    while True:
        more = {r for r, s in targets.items() if r not in known and _finite(s, known)}
        if not more:
            return known
        known |= more


def _finite(schema: Any, known: set[str]) -> bool:
    if not isinstance(schema, dict):
        return schema is not False
    if "$ref" in schema:
        return schema["$ref"] in known
    if "const" in schema or "enum" in schema:
        return True
    for word in _CHOICES:
        if word in schema:
            return any(_finite(option, known) for option in schema[word])
    return any(_finite_of_type(name, schema, known) for name in keywords.types(schema))


def _finite_of_type(name: str, schema: Mapping[str, Any], known: set[str]) -> bool:
    if name == "object":
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        return all(
            _finite(properties.get(key, others), known) for key in schema.get("required", [])
        )
    if name == "array":
        least = keywords.count(schema, "minItems") or 0
        prefix = schema.get("prefixItems", [])
        firsts = all(_finite(item, known) for item in prefix[:least])
        return firsts and (least <= len(prefix) or _finite(schema.get("items", True), known))
    return True


def overlap(root: Any, options: list[Any]) -> tuple[int, int] | None:
    """Return the places of two options that aren't seen to exclude each other, if there are."""
    if len(options) > _MOST_OPTIONS:
        raise Problem(f"oneOf of more than {_MOST_OPTIONS} can't be enforced")
    followed = [_followed(root, option) for option in options]
    for (i, one), (j, other) in itertools.combinations(enumerate(followed), 2):
        if not _exclude(root, one, other):
            return i, j
    return None


def _followed(root: Any, schema: Any) -> Any:
    seen = set()
    while isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
        if reference in seen:
            raise Problem(f"$ref to {reference!r} leads back to itself")
        seen.add(reference)
        schema = document.resolve(root, reference)
    return schema


def _exclude(root: Any, one: Any, other: Any) -> bool:
    """Whether no value is seen to match both: by type, by values, or by a property's values."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    if any(word in schema for schema in (one, other) for word in _CHOICES):
        return False
    mine, others = _values(one), _values(other)
    if mine is not None and others is not None:
        return mine.isdisjoint(others)
    if "type" in one and "type" in other:
        ones, theirs = set(_widened(keywords.types(one))), _widened(keywords.types(other))
        if ones.isdisjoint(theirs):
            return True
        if ones != {"object"} or theirs != ["object"]:
            return False
        shared = set(_names(one)) & set(_names(other))
        return any(
            _exclude(
                root,
                _followed(root, one["properties"][key]),
                _followed(root, other["properties"][key]),
            )
            for key in shared
        )
    return False


def _names(schema: Mapping[str, Any]) -> Iterable[str]:
    """Return the properties that each value has."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return []
    return [key for key in required if key in properties]


def _widened(types: Iterable[str]) -> list[str]:
    return ["number" if name == "integer" else name for name in types]


def _values(schema: Mapping[str, Any]) -> set[str] | None:
    if "const" in schema:
        return {_text(schema["const"])}
    if isinstance(schema.get("enum"), list):
        return {_text(value) for value in schema["enum"]}
    return None


def _text(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)
