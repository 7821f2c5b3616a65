from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2

from inference_service import domain
from inference_service.rpc import mapping

AnyCall = Callable[..., Any]
NONE, AUTO, REQUIRED = (
    chat_pb2.TOOL_CHOICE_MODE_NONE,
    chat_pb2.TOOL_CHOICE_MODE_AUTO,
    chat_pb2.TOOL_CHOICE_MODE_REQUIRED,
)


@pytest.fixture
def chat(message: AnyCall) -> AnyCall:
    """Give a function that makes a conversation with these tools."""

    def make(*tools: dict[str, Any], **rest: Any) -> chat_pb2.ChatInput:
        return chat_pb2.ChatInput(messages=[message("x")], tools=tools, **rest)

    return make


def test_tools(chat: AnyCall) -> None:
    full = {
        "name": "get-Weather_2",
        "description": "",
        "parameters_json": '{"type": "object", "properties": {"é": {}}}',
        "strict": True,
    }
    converted = mapping.chat_from_proto(chat(full, {"name": "a" * 64}))
    assert converted.tools == (
        domain.Tool("get-Weather_2", "", {"type": "object", "properties": {"é": {}}}, strict=True),
        domain.Tool("a" * 64),
    )
    assert converted.tool_choice == domain.ToolChoice()
    assert converted.parallel_tool_calls is True
    assert not mapping.chat_from_proto(chat(full, parallel_tool_calls=False)).parallel_tool_calls


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"mode": NONE}, domain.ToolChoice(domain.ToolMode.NONE)),
        ({"mode": AUTO}, domain.ToolChoice(domain.ToolMode.AUTO)),
        ({"mode": REQUIRED}, domain.ToolChoice(domain.ToolMode.REQUIRED)),
        (
            {"mode": REQUIRED, "functions": ["g", "f", "g"]},
            domain.ToolChoice(domain.ToolMode.REQUIRED, ("g", "f")),
        ),
        ({"mode": AUTO, "functions": ["f"]}, domain.ToolChoice(domain.ToolMode.AUTO, ("f",))),
    ],
)
def test_choice(chat: AnyCall, choice: dict[str, Any], expected: domain.ToolChoice) -> None:
    proto = chat({"name": "f"}, {"name": "g"}, tool_choice=choice)
    assert mapping.chat_from_proto(proto).tool_choice == expected


@pytest.mark.parametrize("mode", [NONE, AUTO])
def test_no_call_needs_no_tools(chat: AnyCall, mode: Any) -> None:
    assert mapping.chat_from_proto(chat(tool_choice={"mode": mode})).tools == ()


def test_as_many_tools_as_allowed(chat: AnyCall) -> None:
    proto = chat(*({"name": f"f{i}"} for i in range(128)))
    assert len(mapping.chat_from_proto(proto).tools) == 128


BIG = '{"description": "' + "x" * 200_000 + '"}'


@pytest.mark.parametrize(
    ("tools", "choice", "field"),
    [
        *(
            ([{"name": "f"}, {"name": name}], None, "tools[1].name")
            for name in ("", "a" * 65, "a b", "é", "a.b", "a\n", "f")
        ),
        *(
            ([{"name": "f", "parameters_json": text}], None, "tools[0].parameters_json")
            for text in ("", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 1}', BIG + " " * 70_000)
        ),
        ([{"name": f"f{i}"} for i in range(129)], None, "tools"),
        ([{"name": f"f{i}", "parameters_json": BIG} for i in range(6)], None, "tools"),
        ([{"name": "f"}], {}, "tool_choice.mode"),
        ([{"name": "f"}], {"mode": 99}, "tool_choice.mode"),
        ([], {"mode": REQUIRED}, "tool_choice.mode"),
        ([{"name": "f"}], {"mode": NONE, "functions": ["f"]}, "tool_choice.functions"),
        ([{"name": "f"}], {"mode": AUTO, "functions": ["f", "g"]}, "tool_choice.functions[1]"),
        ([], {"mode": AUTO, "functions": ["f"]}, "tool_choice.functions[0]"),
    ],
)
def test_invalid_field_is_named(
    chat: AnyCall,
    refused_field: AnyCall,
    tools: list[dict[str, Any]],
    choice: dict[str, Any] | None,
    field: str,
) -> None:
    assert refused_field(chat(*tools, tool_choice=choice)) == f"chat.{field}"
