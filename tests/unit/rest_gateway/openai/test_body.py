from __future__ import annotations

import gc
from typing import Any

import pytest
from pydantic import Field, ValidationError

from rest_gateway.openai.body import parse
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.strict import StrictModel


class Request(StrictModel):
    model: str = Field(min_length=1)


def test_a_request_is_read() -> None:
    assert parse(Request, b'{"model": "m"}') == Request(model="m")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_type"),
        (b"{}", 400, "missing_required_parameter"),
        (b'{"model": 1}', 400, "invalid_type"),
        (b'{"model": "%s"}' % (b"m" * 257), 404, "model_not_found"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, status: int, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(Request, body)
    assert (caught.value.status, caught.value.code) == (status, code)


def test_an_api_has_words_of_its_own() -> None:
    def problem(error: ValidationError) -> ApiError:
        return ApiError(422, f"{error.error_count()} faults")

    with pytest.raises(ApiError, match="1 faults"):
        parse(Request, b"{}", problem)


def test_many_lists_do_not_have_the_collector_look_at_each_again_and_again() -> None:
    collections = []

    def note(phase: str, _info: dict[str, Any]) -> None:
        collections.append(phase)

    body = b'{"model": "m", "other": [' + b"[], " * 100_000 + b"[]]}"
    gc.callbacks.append(note)
    try:
        with pytest.raises(ApiError):
            parse(Request, body)
    finally:
        gc.callbacks.remove(note)
    assert len(collections) < 10
    assert gc.isenabled()
