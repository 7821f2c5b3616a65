"""Every example of the OpenAPI document works as it stands, with the names of real models."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from benchmarks.server import LocalServer
from rest_gateway.openapi.operation import Operation
from rest_gateway.openapi.operations import all_operations

MODEL = "smollm2-135m-instruct"
EMBEDDING = "all-minilm-l6-v2"
# It goes on from a response that the one who reads the document has.
NEEDS_ANOTHER = "Going on from an earlier response"
EXAMPLES = [
    pytest.param(operation, body, id=f"{operation.path}: {title}")
    for operation in all_operations()
    # They would unload what other tests use; the contract tests try them on a server of their own.
    if operation.tag != "Administration"
    for title, body in operation.examples.items()
    if title != NEEDS_ANOTHER
]


@pytest.mark.parametrize(("operation", "body"), EXAMPLES)
async def test_example(server: LocalServer, operation: Operation, body: dict[str, Any]) -> None:
    model = EMBEDDING if operation.tag == "Embeddings" else MODEL
    root = server.base_url.removesuffix("/v1")
    async with httpx.AsyncClient(verify=server.ssl_context(), timeout=60) as client:
        response = await client.post(
            f"{root}{operation.path}",
            json=body | {"model": model},
            headers={"authorization": f"Bearer {server.api_key}"},
        )
    assert response.status_code == 200, response.text
    if body.get("stream"):
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.text.endswith("data: [DONE]\n\n")
    else:
        operation.answer.model_validate_json(response.content, strict=True)
