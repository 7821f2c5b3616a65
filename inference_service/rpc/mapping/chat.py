"""Conversations."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from openvino_server.v1 import chat_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc.mapping.json_object import json_object_from_text
from inference_service.rpc.mapping.tools import tool_choice_from_proto, tools_from_proto

MAX_MESSAGES = 16_384
MAX_PARTS = 1_024
MAX_TOOL_CALLS = 1_024
MAX_CALL_NAME = 256
MAX_CALL_ID = 256
MAX_ARGUMENTS_CHARACTERS = 1 << 20
MAX_ALL_ARGUMENTS_CHARACTERS = 1 << 22
MAX_TEMPLATE_KWARGS_CHARACTERS = 1 << 16
REASONING_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")

_ROLES = {
    chat_pb2.ROLE_DEVELOPER: domain.Role.DEVELOPER,
    chat_pb2.ROLE_SYSTEM: domain.Role.SYSTEM,
    chat_pb2.ROLE_USER: domain.Role.USER,
    chat_pb2.ROLE_ASSISTANT: domain.Role.ASSISTANT,
    chat_pb2.ROLE_TOOL: domain.Role.TOOL,
}


def chat_from_proto(chat: chat_pb2.ChatInput) -> domain.ChatInput:
    """Check and convert a conversation.

    Raises:
        InvalidArgument: A field is missing, doesn't belong where it is, or can't be used.

    """
    messages = _messages(chat)
    tools = tools_from_proto(chat.tools)
    effort = chat.reasoning_effort if chat.HasField("reasoning_effort") else None
    if effort is not None and effort not in REASONING_EFFORTS:
        raise InvalidArgument(
            "chat.reasoning_effort", f"must be one of {', '.join(REASONING_EFFORTS)}"
        )
    if chat.continue_final_message:
        last = messages[-1]
        if last.role is not domain.Role.ASSISTANT or last.tool_calls:
            raise InvalidArgument(
                "chat.continue_final_message",
                "the last message must be the assistant's, without tool calls",
            )
    return domain.ChatInput(
        messages=messages,
        tools=tools,
        tool_choice=tool_choice_from_proto(chat.tool_choice, tools)
        if chat.HasField("tool_choice")
        else domain.ToolChoice(),
        parallel_tool_calls=chat.parallel_tool_calls
        if chat.HasField("parallel_tool_calls")
        else True,
        reasoning_effort=effort,
        template_kwargs=json_object_from_text(
            chat.template_kwargs_json, "chat.template_kwargs_json", MAX_TEMPLATE_KWARGS_CHARACTERS
        )
        if chat.HasField("template_kwargs_json")
        else {},
        continue_final_message=chat.continue_final_message,
    )


def _messages(chat: chat_pb2.ChatInput) -> tuple[domain.Message, ...]:
    if not chat.messages:
        raise InvalidArgument("chat.messages", "is empty; at least one message is required")
    if len(chat.messages) > MAX_MESSAGES:
        raise InvalidArgument("chat.messages", f"at most {MAX_MESSAGES} are allowed")
    arguments = sum(len(c.arguments_json) for m in chat.messages for c in m.tool_calls)
    if arguments > MAX_ALL_ARGUMENTS_CHARACTERS:
        raise InvalidArgument(
            "chat.messages",
            f"the arguments of all calls are longer than {MAX_ALL_ARGUMENTS_CHARACTERS} characters",
        )
    called: set[str] = set()
    messages: list[domain.Message] = []
    for index, message in enumerate(chat.messages):
        converted = _message(message, f"chat.messages[{index}]", called)
        called |= {call.id for call in converted.tool_calls}
        messages.append(converted)
    return tuple(messages)


def _message(message: chat_pb2.ChatMessage, field: str, called: AbstractSet[str]) -> domain.Message:
    """Convert a message; `called` are the ids of the calls before it."""
    role = _ROLES.get(message.role)
    if role is None:
        raise InvalidArgument(f"{field}.role", "is required")
    if role is not domain.Role.ASSISTANT:
        if message.tool_calls:
            raise InvalidArgument(f"{field}.tool_calls", "only an assistant message has any")
        if message.HasField("reasoning"):
            raise InvalidArgument(f"{field}.reasoning", "only an assistant message has it")
    if not message.content and not message.tool_calls:
        raise InvalidArgument(f"{field}.content", "is required")
    if len(message.content) > MAX_PARTS:
        raise InvalidArgument(f"{field}.content", f"at most {MAX_PARTS} parts are allowed")
    for place, part in enumerate(message.content):
        if part.WhichOneof("part") is None:
            raise InvalidArgument(f"{field}.content[{place}]", "has no part")
    return domain.Message(
        role,
        tuple(part.text for part in message.content),
        name=message.name if message.HasField("name") else None,
        tool_calls=_tool_calls(message, f"{field}.tool_calls"),
        tool_call_id=_tool_call_id(message, role, f"{field}.tool_call_id", called),
        reasoning=message.reasoning if message.HasField("reasoning") else None,
    )


def _tool_call_id(
    message: chat_pb2.ChatMessage, role: domain.Role, field: str, called: AbstractSet[str]
) -> str | None:
    if role is not domain.Role.TOOL:
        if message.HasField("tool_call_id"):
            raise InvalidArgument(field, "only a tool message has it")
        return None
    if not message.tool_call_id:
        raise InvalidArgument(field, "is required")
    if message.tool_call_id not in called:
        raise InvalidArgument(
            field, "no message before it has a call with the id " + repr(message.tool_call_id)
        )
    return message.tool_call_id


def _tool_calls(message: chat_pb2.ChatMessage, field: str) -> tuple[domain.ToolCall, ...]:
    if len(message.tool_calls) > MAX_TOOL_CALLS:
        raise InvalidArgument(field, f"at most {MAX_TOOL_CALLS} are allowed")
    ids: set[str] = set()
    for index, call in enumerate(message.tool_calls):
        for name, value, longest in (
            ("id", call.id, MAX_CALL_ID),
            ("name", call.name, MAX_CALL_NAME),
        ):
            if not value:
                raise InvalidArgument(f"{field}[{index}].{name}", "is required")
            if len(value) > longest:
                raise InvalidArgument(
                    f"{field}[{index}].{name}", f"is longer than {longest} characters"
                )
        if call.id in ids:
            raise InvalidArgument(f"{field}[{index}].id", f"a call before it is {call.id!r} too")
        ids.add(call.id)
        json_object_from_text(
            call.arguments_json, f"{field}[{index}].arguments_json", MAX_ARGUMENTS_CHARACTERS
        )
    return tuple(
        domain.ToolCall(call.id, call.name, call.arguments_json) for call in message.tool_calls
    )
