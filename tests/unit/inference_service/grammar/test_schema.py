"""JSON Schemas that are refused, and by which name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from inference_service.errors import InvalidArgument
from inference_service.grammar import check_schema

STRING = {"type": "string"}
REFUSED: list[tuple[Any, str]] = [
    ({"type": "object", "properties": {"a": {"uniqueItems": True}}}, "#/properties/a: uniqueItems"),
    *(
        ({word: value}, f"#: {re.escape(word)} can't be enforced")
        for word, value in {
            "not": {},
            "if": {},
            "then": {},
            "else": {},
            "contains": {},
            "minContains": 1,
            "maxContains": 1,
            "patternProperties": {},
            "propertyNames": {},
            "minProperties": 1,
            "maxProperties": 1,
            "dependentRequired": {},
            "dependentSchemas": {},
            "unevaluatedProperties": False,
            "unevaluatedItems": False,
            "additionalItems": False,
            "$anchor": "a",
            "$dynamicRef": "#a",
            "nullable": True,
            "unheardOf": 1,
        }.items()
    ),
    ({"items": {"$id": "a"}}, "#/items: \\$id can't be enforced"),
    ({"type": "integer", "multipleOf": 5}, "multipleOf"),
    ({"type": "number", "minimum": "1"}, "minimum is no number"),
    ({"type": "number", "exclusiveMinimum": True}, "exclusiveMinimum is no number"),
    ({"type": "integer", "minimum": 2, "exclusiveMaximum": 2}, "no number is within"),
    ({"type": "number", "maximum": 1e300}, "too many digits"),
    ({"type": "nonsense"}, "type 'nonsense'"),
    ({"type": []}, "type names none"),
    ({"type": "string", "format": "regex"}, "format 'regex'"),
    ({"type": "string", "format": "date", "maxLength": 3}, "beside"),
    ({"type": "string", "pattern": "a", "minLength": 3}, "beside"),
    ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
    ({"type": "string", "minLength": 4, "maxLength": 3}, "minLength is more than maxLength"),
    ({"type": "string", "minLength": -1}, "minLength is no whole number"),
    ({"type": "array", "minItems": 1.5}, "minItems is no whole number"),
    ({"type": "array", "minItems": 99999}, "minItems of more than"),
    ({"type": "array", "items": [STRING]}, "prefixItems"),
    ({"type": "array", "items": False, "minItems": 1}, "more than there can be"),
    ({"type": "object", "required": ["a"], "additionalProperties": False}, "required names 'a'"),
    ({"type": "object", "required": "a"}, "required is no list"),
    ({"type": "object", "properties": []}, "properties is no object"),
    ({"type": "object", "properties": {"a~/": 5}}, "#/properties/a~0~1: is no schema"),
    ({"properties": {"a": False}, "required": ["a"]}, "#/properties/a: nothing can match"),
    ({"enum": []}, "enum is no list"),
    ({"type": "integer", "enum": ["a"]}, "type allows none"),
    ({"const": 1, "minimum": 0}, "minimum can't be enforced beside const"),
    ({"anyOf": [STRING], "type": "string"}, "type can't be enforced beside anyOf"),
    ({"allOf": [STRING, STRING]}, "allOf of several"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf .* 0 and 1 may match"),
    ({"$ref": "#/$defs/a"}, "points at nothing"),
    ({"$ref": "https://example.com/s"}, "only #/... can"),
    ({"$ref": 5}, "\\$ref is no text"),
    ({"$ref": "#"}, "leads back to itself"),
    ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {}]}}, "$ref": "#/$defs/a"}, "leads back"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no finite value"),
    (5, "#: is no schema"),
    (False, "#: nothing can match it"),
]


@pytest.mark.parametrize(("schema", "message"), REFUSED, ids=lambda v: json.dumps(v)[:60])
def test_refused_by_name(schema: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as refused:
        check_schema(json.dumps(schema), "constraint.json_schema")
    assert refused.value.metadata["field"] == "constraint.json_schema"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{"type": 5', "is not JSON"),
        ("", "is not JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ('{"const": NaN}', "NaN"),
        ('{"const": 1e999}', "too large"),
        ('{"const": ' + "1" * 5000 + "}", "more than 400 digits"),
        (
            '{"items": {"$ref": "#/x-a/' + "1" * 5000 + '"}, "x-a": [{}]}',
            "#/items: .ref to '#/x-a/1",
        ),
        ('{"const": "\\ud800"}', "surrogate"),
        ('{"const": ' + "[" * 65 + "]" * 65 + "}", "deeper than 64"),
        ("[" * 100_000, "deeper than 64"),
        ('{"description": "' + "a" * (128 << 10) + '"}', "longer than"),
    ],
)
def test_no_document(source: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        check_schema(source, "f")


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "x", "$id": "y", "title": "t", "description": "d", "examples": [1]},
        {"type": "integer", "format": "int32", "x-order": 1, "default": 5},
        {"type": "string", "format": "password", "deprecated": True, "readOnly": True},
        {"type": "array", "uniqueItems": False},
        {"type": "boolean", "minLength": 4},
        True,
    ],
)
def test_what_forbids_nothing_is_taken(schema: Any) -> None:
    check_schema(json.dumps(schema), "f")


def test_a_mapping_is_taken_as_if_written() -> None:
    check_schema({"type": "array", "maxItems": 2.0}, "f")
    with pytest.raises(InvalidArgument, match="is not JSON"):
        check_schema({"const": float("nan")}, "f")
    with pytest.raises(InvalidArgument, match="tools: #: not can't"):
        check_schema({"not": {}}, "tools")


def test_a_long_chain_of_references_is_no_recursion() -> None:
    definitions: dict[str, Any] = {
        f"d{i}": {"type": "array", "items": {"$ref": f"#/$defs/d{i + 1}"}} for i in range(500)
    }
    definitions["d500"] = STRING
    check_schema({"$defs": definitions, "$ref": "#/$defs/d0"}, "f")
    for i in range(500):
        definitions[f"d{i}"] = {"$ref": f"#/$defs/d{i + 1}"}
    check_schema({"$defs": definitions, "$ref": "#/$defs/d0"}, "f")


def test_what_would_take_long_to_convert_is_refused() -> None:
    definitions: dict[str, Any] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(600)}
    definitions["d600"] = STRING
    with pytest.raises(InvalidArgument, match="more than 512 references"):
        check_schema({"$defs": definitions, "$ref": "#/$defs/d0"}, "f")
    with pytest.raises(InvalidArgument, match="names of more than 200 characters"):
        check_schema({"properties": {"a" * 5000: {}}, "additionalProperties": True}, "f")
