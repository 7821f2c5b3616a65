"""The OpenAPI document, made from the operations and the types that requests are checked with.

Source of the form: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from rest_gateway.openapi.operation import Answer, Operation
from rest_gateway.openapi.operations import all_operations

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
# What any operation may end with, as these come before or behind it: no key, an unreachable
# service, a failure of the server's. A key of too few rights is no key for it.
_EVERYWHERE = (401, 403, 500, 502, 503, 504)
# What an operation with a body may end with besides.
_WITH_BODY = (400, 404, 413, 415, 429)
# One server-sent event; the document has no way to say that there are several.
_EVENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
_KEYS: Mapping[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


class ErrorDetail(Answer):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Answer):
    """An error of OpenAI's form; `code` is what programs branch on."""

    error: ErrorDetail


@cache
def written_document(version: str) -> bytes:
    """Write the document of every operation as JSON; see `openapi_document`."""
    return msgspec.json.encode(openapi_document(all_operations(), version))


def openapi_document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """Describe operations.

    Args:
        operations: The operations, in the order to show them.
        version: The server's version.

    Returns:
        The document, ready to be written as JSON.

    """
    kinds: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    for operation in operations:
        kinds += [(kind, "serialization") for kind in _written(operation)]
        if operation.request:
            kinds.append((operation.request, "validation"))
    # All at once, as types of one name are told apart only then.
    references, definitions = models_json_schema(list(dict.fromkeys(kinds)), ref_template=_REF)
    paths: dict[str, Any] = {}
    for operation in operations:
        path = _PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenVINO-Server",
            "version": version,
            "description": (
                "OpenAI's API, and Anthropic's messages, on models that OpenVINO runs. "
                "To try a request here, authorize with an API key, and put the name of a model "
                "that `GET /v1/models` lists in place of `MODEL`."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in _KEYS],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions["$defs"].items())),
            "securitySchemes": _KEYS,
        },
    }


def _written(operation: Operation) -> Iterator[type[BaseModel]]:
    yield operation.answer
    yield operation.error or ErrorAnswer
    if operation.unwell:
        yield operation.unwell


def _operation(operation: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": references[operation.answer, "serialization"]}}
    if operation.events:
        content = {}
    if operation.streams or operation.events:
        content["text/event-stream"] = {"schema": _EVENT}
    error = operation.error or ErrorAnswer
    error_content = {"application/json": {"schema": references[error, "serialization"]}}
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **(
                {"202": {"description": "It has begun.", "content": content}}
                if operation.accepted
                else {}
            ),
            **{
                str(status): {
                    "description": _phrase(status),
                    "content": error_content,
                }
                for status in sorted(_error_statuses(operation))
            },
        },
    }
    if operation.unwell:
        schema = references[operation.unwell, "serialization"]
        described["responses"]["503"]["content"] = {"application/json": {"schema": schema}}
    if operation.description:
        described["description"] = operation.description
    if operation.open:
        described["security"] = []
    if parameters := [*_path_parameters(operation), *_query_parameters(operation)]:
        described["parameters"] = parameters
    if operation.request:
        described["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": references[operation.request, "validation"],
                    "examples": {
                        title: {"summary": title, "value": value}
                        for title, value in operation.examples.items()
                    },
                }
            },
        }
    return described


def _phrase(status: int) -> str:
    # 529 is Anthropic's, and no one else's.
    return "Overloaded" if status == 529 else HTTPStatus(status).phrase


def _error_statuses(operation: Operation) -> Iterator[int]:
    yield from (status for status in _EVERYWHERE if not (operation.open and status in (401, 403)))
    yield from operation.errors
    if operation.request:
        yield from _WITH_BODY
    if _PARAMETER.search(operation.path):
        yield 404


def _path_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name, schema in operation.query.items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"[a-z0-9]+", operation.path.replace(":path", ""))
    return "_".join([operation.method, *words])
