"""The gateway is held to its own document: no failure of the server's, no answer off its schema."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rest_gateway.openapi.document import openapi_document
from rest_gateway.openapi.operations import all_operations

CASES_IN_ALL = 2_000
CASES_OF_A_BODY = 160
CASES_OF_A_PATH = 40
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
GENERATING = ["echo", "bare", "thinker"]


def document() -> dict[str, Any]:
    """The document, but that it asks for no key: each request has one, and no other is tried."""
    described = openapi_document(all_operations(), "0")
    del described["security"], described["components"]["securitySchemes"]
    return described


SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


class Cases:
    """Sends what an operation's schema allows, and what it doesn't, and checks every answer."""

    def __init__(self, api: Any) -> None:
        self.statuses: Counter[int] = Counter()
        self._api = api
        self._session = requests.Session()
        self._session.headers["authorization"] = f"Bearer {api.key}"

    def run(self, operation: Any, most: int) -> None:
        """Try an operation, its own examples of the document first."""
        embeds = any(word in operation.label for word in ("embeddings", "rerank"))
        models = ["embedder"] if embeds else GENERATING
        kinds = operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(
            GenerationMode.NEGATIVE
        )

        @settings(
            max_examples=most,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(kinds, st.sampled_from(models), st.integers(0, 9))
        def check(case: Any, model: str, chance: int) -> None:
            # A name at random is of no model, and that would be all that is found out.
            if chance and isinstance(case.body, dict) and "model" in case.body:
                case.body = case.body | {"model": model}  # its own, not the document's example
            self.check(case)

        check()

    def check(self, case: Any) -> None:
        """Send one request."""
        response = case.call(
            base_url=self._api.base_url.removesuffix("/v1"),
            session=self._session,
            verify=str(self._api.ca),  # here, as what the environment says is over a session's
            timeout=30,
        )
        self.statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)


@pytest.fixture
def cases(api: Any) -> Cases:
    return Cases(api)


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_case_fails(cases: Cases, label: str) -> None:
    operation = OPERATIONS[label]
    cases.run(operation, CASES_OF_A_BODY if operation.body else CASES_OF_A_PATH)
    if operation.body:
        assert cases.statuses.total() >= CASES_OF_A_BODY
        assert cases.statuses[200] > 0, cases.statuses


def test_the_cases_are_enough() -> None:
    assert CASES_OF_A_BODY * sum(bool(found.body) for found in OPERATIONS.values()) >= CASES_IN_ALL
