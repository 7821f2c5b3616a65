from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_service.errors import InvalidArgument
from inference_service.rpc.mapping.json_object import MAX_DEPTH, json_object_from_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=20,
)


def read(text: str) -> dict[str, Any]:
    return json_object_from_text(text, "f", 10_000)


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@given(st.dictionaries(TEXT, VALUE, max_size=5), st.booleans())
def test_what_is_written_is_read(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert json_object_from_text(text, "f", 1 << 20) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *((text, "is no JSON") for text in ("", "{", "{'a': 1}", '{"a": 1} x', '{"a": 1,}')),
        *((f'{{"a": {name}}}', "is no JSON") for name in ("NaN", "Infinity", "-Infinity")),
        *((text, "is no object") for text in ("[]", '"{}"', "1", "null")),
        ('{"a": 1, "b": 2, "a": 1}', "'a' twice"),
        ('{"x": {"a": 1, "a": 2}}', "'a' twice"),
        ('{"a": 1e999}', "beyond all bounds"),
        (f'{{"a": {"1" * 5000}}}', "digits"),
        (r'{"a": "\ud800"}', "surrogate"),
        (r'{"x": [{"\udc00": 1}]}', "surrogate"),
        (nested(MAX_DEPTH), "deeper than 64"),
        ('{"a":' + "[" * 9000, "deeper than 64"),
        ('{"a": "' + "x" * 10_000 + '"}', "longer than 10000"),
    ],
)
def test_what_is_no_strict_object_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as caught:
        read(text)
    assert caught.value.metadata == {"field": "f"}


def test_ends_of_the_bounds_are_taken() -> None:
    assert read(nested(MAX_DEPTH - 1))
    assert len(read('{"a": "' + "x" * (10_000 - 9) + '"}')["a"]) == 10_000 - 9
    assert read(r'{"a": "\ud83d\ude00"}') == {"a": "😀"}


@given(st.text('{}[]":,\\ud8ac0019e+-.nulltrue ', max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        value = read(text)
    except InvalidArgument:
        return
    assert value == json.loads(text)
