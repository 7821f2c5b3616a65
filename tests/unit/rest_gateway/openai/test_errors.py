import json

import grpc
import pytest
from openvino_server.v1 import errors_pb2

from rest_gateway.openai.errors import REASONS, STATUSES, ApiError
from rest_gateway.openai.failures import from_upstream

PROTO_REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name, value in errors_pb2.ErrorReason.items()
    if value != errors_pb2.ERROR_REASON_UNSPECIFIED
]


@pytest.mark.parametrize("reason", PROTO_REASONS)
def test_every_reason_has_a_row(reason: str) -> None:
    said = from_upstream(grpc.StatusCode.UNKNOWN, reason, "what happened", {})
    row = REASONS[reason]
    assert (said.status, said.type, said.code, said.param) == (
        row.status,
        row.type,
        row.code,
        row.param and row.param.removeprefix("chat."),
    )
    assert said.message == (row.message or "what happened")
    assert said.reason == reason


def test_no_row_without_reason() -> None:
    assert set(REASONS) == set(PROTO_REASONS)


@pytest.mark.parametrize("status", [code for code in grpc.StatusCode if code.name != "OK"])
def test_every_status_has_a_row_that_hides_the_message(status: grpc.StatusCode) -> None:
    said = from_upstream(status, None, "ipv4:10.0.0.7:9443 refused", {})
    assert said.status == STATUSES[status.name].status
    assert "10.0.0.7" not in said.message
    assert said.reason == status.name


@pytest.mark.parametrize(
    ("status", "http"),
    [
        ("INVALID_ARGUMENT", 400),
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("ABORTED", 409),
        ("FAILED_PRECONDITION", 400),
        ("RESOURCE_EXHAUSTED", 429),
        ("CANCELLED", 499),
        ("UNIMPLEMENTED", 501),
        ("UNAVAILABLE", 503),
        ("DEADLINE_EXCEEDED", 504),
        ("INTERNAL", 500),
    ],
)
def test_statuses(status: str, http: int) -> None:
    assert STATUSES[status].status == http


def test_reason_of_a_later_version_is_judged_by_its_status() -> None:
    said = from_upstream(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_SPENT", "details", {})
    assert (said.status, said.reason) == (429, "BUDGET_SPENT")
    assert said.message != "details"


@pytest.mark.parametrize("rows", [REASONS, STATUSES])
def test_what_may_be_tried_again_says_when(rows: dict[str, object]) -> None:
    for name, row in rows.items():
        again = row.status in {429, 503}  # type: ignore[attr-defined]
        assert bool(row.retry_after) is again, name  # type: ignore[attr-defined]
    said = from_upstream(grpc.StatusCode.UNAVAILABLE, None, "", {})
    assert said.headers == {"retry-after": "1"}


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("sampling.temperature", "temperature"),
        ("sampling.stop[1]", "stop[1]"),
        ("chat.messages[0].content", "messages[0].content"),
        ("model", "model"),
    ],
)
def test_fields_become_parameters(field: str, param: str) -> None:
    said = from_upstream(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", f"{field}: is bad", {"field": field}
    )
    assert (said.param, said.message) == (param, f"{param}: is bad")


def test_context_length() -> None:
    said = from_upstream(
        grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED", "too long", {}
    )
    assert (said.status, said.code, said.param) == (400, "context_length_exceeded", "messages")


def test_refused_gateway_is_not_the_callers_fault() -> None:
    said = from_upstream(grpc.StatusCode.PERMISSION_DENIED, "CLIENT_NOT_ALLOWED", "no", {})
    assert said.status == 502
    assert "gateway" in said.message


def test_failed_handshake_is_told_from_a_service_that_is_down() -> None:
    details = "failed to connect to all addresses; last error: UNKNOWN: Ssl handshake failed"
    said = from_upstream(grpc.StatusCode.UNAVAILABLE, None, details, {})
    assert (said.status, said.code) == (503, "service_untrusted")


def test_body_is_openais() -> None:
    assert json.loads(ApiError(418, "no “coffee”", code="teapot", param="n").body()) == {
        "error": {
            "message": "no “coffee”",
            "type": "invalid_request_error",
            "param": "n",
            "code": "teapot",
        }
    }
