from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2

from inference_service import domain
from inference_service.rpc import mapping

AnyCall = Callable[..., Any]
LONG = "x" * ((1 << 17) + 1)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ({"json_schema": "{"}, domain.Constraint("json_schema", "{")),  # compiled elsewhere
        ({"json_object": {}}, domain.Constraint("json_object")),
        ({"regex": " "}, domain.Constraint("regex", " ")),
        (
            {"choices": {"texts": ["a", "b", "a"]}},
            domain.Constraint("choices", "", ("a", "b", "a")),
        ),
        ({"grammar": LONG[1:]}, domain.Constraint("grammar", LONG[1:])),
    ],
)
def test_each_kind(
    request_of: AnyCall, constraint: dict[str, Any], expected: domain.Constraint
) -> None:
    wanted = mapping.generate_request_from_proto(request_of(constraint=constraint))
    assert wanted.constraint == expected


def test_none_is_none(request_of: AnyCall) -> None:
    assert mapping.generate_request_from_proto(request_of()).constraint is None


@pytest.mark.parametrize(
    ("constraint", "field"),
    [
        ({}, "constraint"),
        *(({kind: ""}, f"constraint.{kind}") for kind in ("json_schema", "regex", "grammar")),
        *(({kind: LONG}, f"constraint.{kind}") for kind in ("json_schema", "regex", "grammar")),
        ({"choices": {}}, "constraint.choices.texts"),
        ({"choices": {"texts": ["a"] * 1025}}, "constraint.choices.texts"),
        ({"choices": {"texts": ["a", LONG]}}, "constraint.choices.texts"),
        ({"choices": {"texts": ["a", ""]}}, "constraint.choices.texts[1]"),
    ],
)
def test_invalid_form_is_named(
    request_of: AnyCall, refused_field: AnyCall, constraint: dict[str, Any], field: str
) -> None:
    assert refused_field(request_of(constraint=constraint)) == field


CONSTRAINT = {"constraint": {"regex": "a"}}


def required(mode: Any = chat_pb2.TOOL_CHOICE_MODE_REQUIRED) -> dict[str, Any]:
    messages = [{"role": chat_pb2.ROLE_USER, "content": [{"text": "x"}]}]
    return {"chat": {"messages": messages, "tools": [{"name": "f"}], "tool_choice": {"mode": mode}}}


@pytest.mark.parametrize("form", [CONSTRAINT, required()])
@pytest.mark.parametrize("name", ["ignore_eos", "min_tokens"])
def test_form_and_what_would_break_it_are_refused(
    request_of: AnyCall, refused_field: AnyCall, form: dict[str, Any], name: str
) -> None:
    assert refused_field(request_of(**form, sampling={name: 1})) == f"sampling.{name}"
    mapping.generate_request_from_proto(request_of(**form, sampling={name: 0}))


def test_constraint_beside_tools(request_of: AnyCall, refused_field: AnyCall) -> None:
    assert refused_field(request_of(**CONSTRAINT, **required())) == "constraint"
    auto = required(chat_pb2.TOOL_CHOICE_MODE_AUTO)
    assert mapping.generate_request_from_proto(request_of(**CONSTRAINT, **auto)).constraint
