import json

import pytest
from anthropic.types import ErrorResponse

from rest_gateway.anthropic.errors import error_body, is_anthropic, status_of
from rest_gateway.openai import errors
from rest_gateway.openai.errors import REASONS, STATUSES, ApiError


def kind(error: ApiError) -> tuple[int, str]:
    written = json.loads(error_body(error, "req_1"))
    assert written["type"] == "error"
    assert written["request_id"] == "req_1"
    return status_of(error), written["error"]["type"]


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (errors.invalid_api_key("no"), 401, "authentication_error"),
        (errors.body_too_large(3), 413, "request_too_large"),
        (errors.model_not_found("x"), 404, "not_found_error"),
        (errors.internal(), 500, "api_error"),
        (errors.shutting_down(), 503, "api_error"),
        (ApiError(403, "x"), 403, "permission_error"),
        (ApiError(405, "x"), 405, "invalid_request_error"),
        (ApiError(429, "x"), 429, "rate_limit_error"),
        (ApiError(504, "x", code="timeout"), 504, "timeout_error"),
    ],
)
def test_types(error: ApiError, status: int, expected: str) -> None:
    assert kind(error) == (status, expected)


@pytest.mark.parametrize("reason", ["QUEUE_FULL", "READER_TOO_SLOW", "WORKER_LOST", "INTERNAL"])
def test_reasons(reason: str) -> None:
    row = REASONS[reason]
    assert (
        kind(ApiError(row.status, "x", row.type, row.code))
        == {
            "QUEUE_FULL": (529, "overloaded_error"),
            "READER_TOO_SLOW": (429, "rate_limit_error"),
            "WORKER_LOST": (503, "api_error"),
            "INTERNAL": (500, "api_error"),
        }[reason]
    )


def test_every_failure_has_a_shape_that_the_sdk_knows() -> None:
    beyond = {"request_too_large", "conflict_error"}  # documented, but not in the SDK's union
    for row in [*REASONS.values(), *STATUSES.values()]:
        error = ApiError(row.status, "x", row.type, row.code)
        body = json.loads(error_body(error, "r"))
        if body["error"]["type"] not in beyond:
            ErrorResponse.model_validate(body, strict=True)
        # Its clients try again after these alone.
        again = row.retry_after is not None
        assert not again or status_of(error) in {409, 429} or status_of(error) >= 500


def test_cause_is_named_for_programs() -> None:
    body = json.loads(error_body(errors.model_not_found("x"), "r"))
    assert body["error"]["details"] == {"error_code": "model_not_found"}
    body = json.loads(error_body(ApiError(404, "x"), "r"))
    assert "details" not in body["error"]


def test_prompt_that_is_too_long_is_told_in_the_words_that_clients_know() -> None:
    code = "context_length_exceeded"
    error = ApiError(400, "9 tokens", code=code, param="messages")
    assert json.loads(error_body(error, "r"))["error"]["message"] == "prompt is too long: 9 tokens"
    error = ApiError(400, "9 tokens", code=code, param="max_tokens")
    assert json.loads(error_body(error, "r"))["error"]["message"] == "9 tokens"


def test_paths() -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"):
        assert is_anthropic(path)
    for path in ("/v1/messages2", "/v1/chat/completions", "/", ""):
        assert not is_anthropic(path)
