from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2

from inference_service import domain
from inference_service.rpc import mapping
from inference_service.rpc.mapping.chat import REASONING_EFFORTS

AnyCall = Callable[..., Any]
SYSTEM, USER, ASSISTANT, TOOL = (
    chat_pb2.ROLE_SYSTEM,
    chat_pb2.ROLE_USER,
    chat_pb2.ROLE_ASSISTANT,
    chat_pb2.ROLE_TOOL,
)
CALL = {"id": "1", "name": "f", "arguments_json": '{"a": 1}'}


def test_roles(message: AnyCall) -> None:
    roles = {
        chat_pb2.ROLE_DEVELOPER: domain.Role.DEVELOPER,
        SYSTEM: domain.Role.SYSTEM,
        USER: domain.Role.USER,
        ASSISTANT: domain.Role.ASSISTANT,
    }
    messages = [message("a", "", "b", role=role) for role in roles]
    chat = chat_pb2.ChatInput(messages=[*messages, message("", name="")])
    assert mapping.chat_from_proto(chat) == domain.ChatInput(
        (
            *(domain.Message(role, ("a", "", "b")) for role in roles.values()),
            domain.Message(domain.Role.USER, ("",), name=""),
        )
    )


def test_history_of_calls(message: AnyCall) -> None:
    calls = [CALL, {"id": "2", "name": "g.h", "arguments_json": " {} "}]
    chat = chat_pb2.ChatInput(
        messages=[
            message("x"),
            message(role=ASSISTANT, tool_calls=calls, reasoning=""),
            message("one", role=TOOL, tool_call_id="2"),
            message("", role=TOOL, tool_call_id="1"),
            message("said", role=ASSISTANT, tool_calls=[CALL], reasoning="hm"),
        ]
    )
    first, second = domain.ToolCall("1", "f", '{"a": 1}'), domain.ToolCall("2", "g.h", " {} ")
    assert mapping.chat_from_proto(chat).messages[1:] == (
        domain.Message(domain.Role.ASSISTANT, (), tool_calls=(first, second), reasoning=""),
        domain.Message(domain.Role.TOOL, ("one",), tool_call_id="2"),
        domain.Message(domain.Role.TOOL, ("",), tool_call_id="1"),
        domain.Message(domain.Role.ASSISTANT, ("said",), tool_calls=(first,), reasoning="hm"),
    )


def test_words_for_the_template(message: AnyCall) -> None:
    for effort in REASONING_EFFORTS:
        chat = chat_pb2.ChatInput(
            messages=[message("x"), message("y", role=ASSISTANT)],
            reasoning_effort=effort,
            template_kwargs_json='{"enable_thinking": false}',
            continue_final_message=True,
        )
        wanted = mapping.chat_from_proto(chat)
        assert wanted.reasoning_effort == effort
        assert wanted.template_kwargs == {"enable_thinking": False}
        assert wanted.continue_final_message


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], ""),
        ([{"role": 0, "content": [{"text": "x"}]}], "[0].role"),
        ([{"role": 99, "content": [{"text": "x"}]}], "[0].role"),
        *(([{"role": role}], "[0].content") for role in (SYSTEM, USER, ASSISTANT)),
        ([{"role": ASSISTANT, "reasoning": "x"}], "[0].content"),
        ([{"role": USER, "content": [{"text": "x"}, {}]}], "[0].content[1]"),
        ([{"role": USER, "content": [{"text": "x"}] * 1025}], "[0].content"),
        ([{"role": USER, "content": [{"text": "x"}]}] * 16_385, ""),
        ([{"role": USER, "content": [{"text": "x"}], "reasoning": ""}], "[0].reasoning"),
        ([{"role": USER, "content": [{"text": "x"}], "tool_calls": [CALL]}], "[0].tool_calls"),
        ([{"role": USER, "content": [{"text": "x"}], "tool_call_id": "1"}], "[0].tool_call_id"),
        (
            [{"role": ASSISTANT, "content": [{"text": "x"}], "tool_call_id": "1"}],
            "[0].tool_call_id",
        ),
        *(
            (
                [{"role": ASSISTANT, "tool_calls": [CALL, CALL | {"id": "2"} | wrong]}],
                f"[0].{field}",
            )
            for wrong, field in (
                ({"id": ""}, "tool_calls[1].id"),
                ({"id": "1"}, "tool_calls[1].id"),
                ({"id": "x" * 257}, "tool_calls[1].id"),
                ({"name": ""}, "tool_calls[1].name"),
                ({"name": "x" * 257}, "tool_calls[1].name"),
                *(
                    ({"arguments_json": text}, "tool_calls[1].arguments_json")
                    for text in ("", "[]", '{"a": ', '{"a": NaN}', '{"a": 1, "a": 2}')
                ),
            )
        ),
        (
            [{"role": ASSISTANT, "tool_calls": [CALL | {"id": str(i)} for i in range(1025)]}],
            "[0].tool_calls",
        ),
        *(
            ([{"role": ASSISTANT, "tool_calls": [CALL]}, {"role": TOOL} | result], f"[1].{field}")
            for result, field in (
                ({"tool_call_id": "1"}, "content"),
                ({"content": [{"text": "x"}]}, "tool_call_id"),
                ({"content": [{"text": "x"}], "tool_call_id": "2"}, "tool_call_id"),
            )
        ),
        (
            [
                {"role": TOOL, "content": [{"text": "x"}], "tool_call_id": "1"},
                {"role": ASSISTANT, "tool_calls": [CALL]},
            ],
            "[0].tool_call_id",
        ),
    ],
)
def test_invalid_message_is_named(
    refused_field: AnyCall, messages: list[dict[str, Any]], field: str
) -> None:
    assert refused_field(chat_pb2.ChatInput(messages=messages)) == f"chat.messages{field}"


def test_all_arguments_together_are_bounded(refused_field: AnyCall, message: AnyCall) -> None:
    big = {"arguments_json": '{"a": "' + "x" * 900_000 + '"}'}
    calls = [CALL | big | {"id": str(i)} for i in range(5)]
    chat = chat_pb2.ChatInput(messages=[message(role=ASSISTANT, tool_calls=calls[:4])])
    assert len(mapping.chat_from_proto(chat).messages[0].tool_calls) == 4
    chat = chat_pb2.ChatInput(messages=[message(role=ASSISTANT, tool_calls=calls)])
    assert refused_field(chat) == "chat.messages"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *(({"reasoning_effort": word}, "reasoning_effort") for word in ("", "Low", "most")),
        *(
            ({"template_kwargs_json": text}, "template_kwargs_json")
            for text in ("", "[]", '{"a": NaN}', '{"a": "' + "x" * 65_536 + '"}')
        ),
        ({"continue_final_message": True}, "continue_final_message"),
    ],
)
def test_invalid_word_is_named(
    message: AnyCall, refused_field: AnyCall, fields: dict[str, Any], field: str
) -> None:
    chat = chat_pb2.ChatInput(messages=[message("x")], **fields)
    assert refused_field(chat) == f"chat.{field}"


def test_calls_are_not_gone_on_from(message: AnyCall, refused_field: AnyCall) -> None:
    last = message("x", role=ASSISTANT, tool_calls=[CALL])
    chat = chat_pb2.ChatInput(messages=[message("x"), last], continue_final_message=True)
    assert refused_field(chat) == "chat.continue_final_message"
