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
CASES_OF_ADMINISTRATION = 60  # many of them load or unload a model
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
GENERATING = ["echo", "bare", "thinker"]
ADMINISTRATION = "/v1/admin/"
WATCH = "GET /v1/admin/models/watch"  # it has no end


def document() -> dict[str, Any]:
    """The document, but that it asks for no key: each request has one, and no other is tried."""
    described = openapi_document(all_operations(), "0")
    del described["security"], described["components"]["securitySchemes"]
    return described


SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


def cases_of(operation: Any) -> int:
    """How many requests an operation is tried with."""
    if ADMINISTRATION in operation.label:
        return CASES_OF_ADMINISTRATION
    return CASES_OF_A_BODY if operation.body else CASES_OF_A_PATH


def models_for(operation: Any) -> list[str]:
    """Models of the server that an operation is tried with, that it can do something with."""
    if ADMINISTRATION in operation.label:
        return ["guest"]
    embeds = any(word in operation.label for word in ("embeddings", "rerank"))
    return ["embedder"] if embeds else GENERATING


class Cases:
    """Sends what an operation's schema allows, and what it doesn't, and checks every answer.

    Args:
        api: The server.
        source: Where a model can be pulled from there.

    """

    def __init__(self, api: Any, source: str | None = None) -> None:
        self.statuses: Counter[int] = Counter()
        self._api = api
        self._source = source
        self._session = requests.Session()
        self._session.headers["authorization"] = f"Bearer {api.key}"

    def run(self, operation: Any) -> None:
        """Try an operation."""
        kinds = operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(
            GenerationMode.NEGATIVE
        )

        @settings(
            max_examples=cases_of(operation),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(kinds, st.sampled_from(models_for(operation)), st.integers(0, 9))
        def check(case: Any, model: str, chance: int) -> None:
            # A name at random is of no model, and that would be all that is found out.
            if chance and isinstance(case.body, dict) and "model" in case.body:
                case.body = case.body | {"model": model}  # its own, not the document's example
            if chance and self._source and isinstance(case.body, dict) and "source" in case.body:
                case.body = case.body | {"source": self._source}
            if operation.label == WATCH:
                self.check_start(case)
            else:
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

    def check_start(self, case: Any) -> None:
        """Send a request for a stream without end, read its beginning, and leave."""
        sent = case.as_transport_kwargs(base_url=self._api.base_url.removesuffix("/v1"))
        sent["headers"] = {**sent["headers"], **self._session.headers}
        with requests.request(
            **sent, verify=str(self._api.ca), timeout=30, stream=True
        ) as response:
            self.statuses[response.status_code] += 1
            if response.status_code != 200:
                case.validate_response(response, checks=CHECKS)
                return
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            for line in response.iter_lines():
                assert line == b"" or line.startswith((b"data: ", b": "))
                if line == b'data: {"type":"started"}':
                    return
        raise AssertionError("the watch ended")


@pytest.mark.parametrize("label", [label for label in OPERATIONS if ADMINISTRATION not in label])
def test_no_case_fails(api: Any, label: str) -> None:
    try_all(Cases(api), OPERATIONS[label])


@pytest.mark.parametrize("label", [label for label in OPERATIONS if ADMINISTRATION in label])
def test_no_case_of_administration_fails(admin_api: Any, label: str) -> None:
    cases = Cases(admin_api, f"file:{admin_api.sources / 'there'}")
    try_all(cases, OPERATIONS[label])
    assert label != WATCH or cases.statuses[200] > 0, cases.statuses


def try_all(cases: Cases, operation: Any) -> None:
    cases.run(operation)
    if operation.body:
        assert cases.statuses.total() >= cases_of(operation)
        assert cases.statuses[200] > 0, cases.statuses


def test_the_cases_are_enough() -> None:
    assert sum(cases_of(found) for found in OPERATIONS.values() if found.body) >= CASES_IN_ALL
