import json
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2

from rest_gateway.openai.chat.schema import parse_chat_completion
from rest_gateway.openai.chat.translate import names_of, request_to_proto
from rest_gateway.openai.errors import ApiError

TOOL = {"type": "function", "function": {"name": "f"}}
NAMED = {"type": "function", "function": {"name": "f"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}}


def parse(**fields: Any) -> Any:
    ask = {"model": "m", "prompt": "Hi"} | fields
    return parse_chat_completion(json.dumps(ask).encode())


def chat(**fields: Any) -> chat_pb2.ChatInput:
    return request_to_proto(parse(**fields)).chat


def refused(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(**fields)
    assert caught.value.status == 400
    return caught.value


def test_functions() -> None:
    function = {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {}},
        "strict": True,
    }
    [bare, whole] = chat(tools=[TOOL, {"type": "function", "function": function}]).tools
    assert bare == chat_pb2.Tool(name="f")
    assert whole == chat_pb2.Tool(
        name="f",
        description="d",
        parameters_json='{"type":"object","properties":{}}',
        strict=True,
    )


@pytest.mark.parametrize(
    ("choice", "mode", "functions"),
    [
        ("none", chat_pb2.TOOL_CHOICE_MODE_NONE, []),
        ("auto", chat_pb2.TOOL_CHOICE_MODE_AUTO, []),
        ("required", chat_pb2.TOOL_CHOICE_MODE_REQUIRED, []),
        (NAMED, chat_pb2.TOOL_CHOICE_MODE_REQUIRED, ["f"]),
        (ALLOWED, chat_pb2.TOOL_CHOICE_MODE_AUTO, ["f"]),
    ],
)
def test_choices(choice: Any, mode: Any, functions: list[str]) -> None:
    sent = chat(tools=[TOOL], tool_choice=choice).tool_choice
    assert sent == chat_pb2.ToolChoice(mode=mode, functions=functions)


def test_what_is_left_out_stays_unset() -> None:
    bare = chat()
    assert not bare.HasField("tool_choice")
    assert not bare.HasField("parallel_tool_calls")
    assert chat(parallel_tool_calls=False).HasField("parallel_tool_calls")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "unsupported_parameter"),
        ({"tools": [TOOL] * 129}, "tools", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]},
            "tools[0].function.parameters",
            "invalid_type",
        ),
        ({"tool_choice": "any"}, "tool_choice", "invalid_value"),
        ({"tool_choice": 5}, "tool_choice", "invalid_type"),
        ({"tool_choice": {"type": "custom"}}, "tool_choice.type", "unsupported_parameter"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none"}}},
            "tool_choice.allowed_tools.mode",
            "invalid_value",
        ),
    ],
)
def test_refused_by_name(fields: dict[str, Any], param: str, code: str) -> None:
    error = refused(**fields)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize(
    ("field", "fields", "sent"),
    [
        ("chat.tools[3].name", {}, "tools[3].function.name"),
        ("chat.tools[0].parameters_json", {}, "tools[0].function.parameters"),
        ("chat.tools", {}, "tools"),
        ("chat.template_kwargs_json", {}, "chat_template_kwargs"),
        ("chat.tool_choice.mode", {"tool_choice": "required"}, "tool_choice"),
        ("chat.tool_choice.functions[0]", {"tool_choice": NAMED}, "tool_choice.function.name"),
        (
            "chat.tool_choice.functions[0]",
            {"tool_choice": ALLOWED},
            "tool_choice.allowed_tools.tools[0].function.name",
        ),
        ("constraint", {"guided_regex": "a"}, "guided_regex"),
        ("chat.messages[0].content", {}, "prompt"),
        (
            "chat.messages[2].tool_calls[1].arguments_json",
            {"prompt": None, "messages": [{"role": "user", "content": "x"}]},
            "messages[2].tool_calls[1].function.arguments",
        ),
    ],
)
def test_names_are_the_clients(field: str, fields: dict[str, Any], sent: str) -> None:
    assert names_of(parse(**fields)).sent_as(field) == sent
