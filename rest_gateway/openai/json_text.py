"""JSON inside a request that goes on to the service as text."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError


def _from_object(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError("object_type", "must be an object")
    return _written(value)


def _from_schema(value: object) -> object:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("schema_type", "must be a JSON Schema: an object, or its JSON")
    return _written(value)


def _written(value: object) -> str:
    # Not by msgspec: a number in a schema may have any size. Those that JSON can't have, NaN and
    # the infinities, are written as they came, and refused by the service.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# A JSON object, its keys in the order that the client gave them.
JsonObject = Annotated[str, BeforeValidator(_from_object), WithJsonSchema({"type": "object"})]
# A JSON Schema, or the text of one.
JsonSchema = Annotated[
    str,
    BeforeValidator(_from_schema),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "string"}]}),
]
