import re
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from rest_gateway.middleware.api_key import OPEN_PATHS
from rest_gateway.openapi.document import openapi_document
from rest_gateway.openapi.operation import Operation
from rest_gateway.openapi.operations import all_operations

OPERATIONS = all_operations()
DOCUMENT = openapi_document(OPERATIONS, "1.2.3")
OF_THE_PAGE = OPEN_PATHS - {"/v1/health", "/health"}


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator that knows where the document's components are."""
    resource = Resource(contents=DOCUMENT, specification=_unspecified())
    registry: Any = Registry().with_resource("urn:openapi", resource)
    absolute = {"$ref": "urn:openapi" + schema["$ref"]} if "$ref" in schema else schema
    return Draft202012Validator(absolute, registry=registry)


def _unspecified() -> Any:
    from referencing.jsonschema import DRAFT202012

    return DRAFT202012


def body_schema(operation: Operation) -> dict[str, Any]:
    path = re.sub(r":path", "", operation.path)
    described = DOCUMENT["paths"][path][operation.method]
    schema: dict[str, Any] = described["requestBody"]["content"]["application/json"]["schema"]
    return schema


def test_every_route_is_described_and_nothing_else(app: Any) -> None:
    routes = {
        (method.lower(), route.path)
        for route in iter_route_contexts(app.routes)
        if route.path not in OF_THE_PAGE
        for method in route.methods - {"HEAD"}
    }
    assert routes == {(operation.method, operation.path) for operation in OPERATIONS}


def test_schemas_are_schemas() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_operations_have_names_of_their_own() -> None:
    names = [
        operation["operationId"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


EXAMPLES = [
    pytest.param(operation, body, id=f"{operation.path}: {title}")
    for operation in OPERATIONS
    for title, body in operation.examples.items()
]


@pytest.mark.parametrize(("operation", "body"), EXAMPLES)
def test_examples_are_of_their_schema(operation: Operation, body: Any) -> None:
    validator(body_schema(operation)).validate(body)
    assert operation.request is not None
    operation.request.model_validate(body)


def test_every_body_has_an_example() -> None:
    assert [o.path for o in OPERATIONS if o.request and not o.examples] == []


def test_the_name_to_replace_in_the_examples_is_told() -> None:
    named = {e["model"] for o in OPERATIONS for e in o.examples.values() if "model" in e}
    assert named == {"MODEL"}
    assert "`MODEL`" in DOCUMENT["info"]["description"]


def test_a_body_off_its_schema_is_told() -> None:
    chat = next(o for o in OPERATIONS if o.path == "/v1/chat/completions")
    assert not validator(body_schema(chat)).is_valid({"model": "m", "temperature": "hot"})


def test_only_health_is_open() -> None:
    unguarded = [o.path for o in OPERATIONS if o.open]
    assert unguarded == ["/v1/health", "/health"]
    assert DOCUMENT["paths"]["/v1/health"]["get"]["security"] == []
    assert DOCUMENT["security"] == [{"bearer": []}, {"x-api-key": []}]
