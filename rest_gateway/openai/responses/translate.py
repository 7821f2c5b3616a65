"""Requests for responses as the service's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.keep_alive import keep_alive_to_proto
from rest_gateway.openai.names import Names
from rest_gateway.openai.responses.conversation import Said
from rest_gateway.openai.responses.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
)
from rest_gateway.openai.responses.schema import ConversationRequest, Format, ResponseRequest
from rest_gateway.openai.responses.tools import AllowedTools, FunctionChoice, FunctionTool

_ROLES: Mapping[str, chat_pb2.Role.ValueType] = {
    "developer": chat_pb2.ROLE_DEVELOPER,
    "system": chat_pb2.ROLE_SYSTEM,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
}
_MODES: Mapping[str, chat_pb2.ToolChoiceMode.ValueType] = {
    "none": chat_pb2.TOOL_CHOICE_MODE_NONE,
    "auto": chat_pb2.TOOL_CHOICE_MODE_AUTO,
    "required": chat_pb2.TOOL_CHOICE_MODE_REQUIRED,
}

NAMES = Names(
    renamed={
        "sampling.max_tokens": "max_output_tokens",
        "sampling.logprobs": "include",
        "chat.reasoning_effort": "reasoning.effort",
        "chat.tool_choice": "tool_choice",
        "chat.tools": "tools",
        "chat.tools[].parameters_json": "tools[].parameters",
    },
    merged={"chat.messages": "input", "constraint": "text.format.schema"},
)


def chat_to_proto(request: ConversationRequest, items: Sequence[Said]) -> chat_pb2.ChatInput:
    """Say a conversation in the service's terms. What the client left out stays unset.

    Args:
        request: The request.
        items: The whole conversation.

    """
    messages = messages_to_proto(items)
    if request.instructions is not None:
        messages.insert(0, _message(chat_pb2.ROLE_SYSTEM, [request.instructions]))
    return chat_pb2.ChatInput(
        messages=messages,
        tools=[_tool_to_proto(tool) for tool in request.tools or ()],
        tool_choice=_choice_to_proto(request),
        parallel_tool_calls=request.parallel_tool_calls,
        reasoning_effort=request.reasoning.effort if request.reasoning else None,
    )


def request_to_proto(
    request: ResponseRequest, chat: chat_pb2.ChatInput
) -> inference_pb2.GenerateRequest:
    """Say a request in the service's terms.

    Args:
        request: The request.
        chat: Its conversation, as `chat_to_proto` gives it.

    """
    return inference_pb2.GenerateRequest(
        model=request.model,
        chat=chat,
        keep_alive=keep_alive_to_proto(request),
        sampling=inference_pb2.SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_output_tokens,
            logprobs=True if request.logprobs else None,
        ),
        constraint=_constraint_to_proto(request.text.format if request.text else None),
    )


def messages_to_proto(items: Iterable[Said]) -> list[chat_pb2.ChatMessage]:
    """Make messages of items: what the assistant thinks, says and calls in a row is one message."""
    messages: list[chat_pb2.ChatMessage] = []
    # The assistant's message that further items may belong to.
    current: chat_pb2.ChatMessage | None = None
    for item in items:
        if isinstance(item, FunctionCallOutputItem):
            answer = _message(chat_pb2.ROLE_TOOL, item.texts)
            answer.tool_call_id = item.call_id
            messages.append(answer)
            current = None
            continue
        if isinstance(item, MessageItem) and item.role != "assistant":
            messages.append(_message(_ROLES[item.role], item.texts))
            current = None
            continue
        calls = isinstance(item, FunctionCallItem)
        # A call may follow anything of the assistant's; a text or a thought begins anew after one.
        if current is None or (not calls and (current.content or current.tool_calls)):
            current = chat_pb2.ChatMessage(role=chat_pb2.ROLE_ASSISTANT)
            messages.append(current)
        if isinstance(item, FunctionCallItem):
            current.tool_calls.append(
                chat_pb2.ToolCall(id=item.call_id, name=item.name, arguments_json=item.arguments)
            )
        elif isinstance(item, MessageItem):
            current.content.extend(chat_pb2.ContentPart(text=text) for text in item.texts)
        else:
            current.reasoning += item.said
    for message in messages:
        # Thought, and then cut off.
        if not message.content and not message.tool_calls:
            message.content.append(chat_pb2.ContentPart(text=""))
    return messages


def _message(role: chat_pb2.Role.ValueType, texts: Iterable[str]) -> chat_pb2.ChatMessage:
    return chat_pb2.ChatMessage(
        role=role, content=[chat_pb2.ContentPart(text=text) for text in texts]
    )


def _tool_to_proto(tool: FunctionTool) -> chat_pb2.Tool:
    return chat_pb2.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=tool.parameters,
        strict=tool.strict,
    )


def _choice_to_proto(request: ConversationRequest) -> chat_pb2.ToolChoice | None:
    choice = request.tool_choice
    if choice is None:
        return None
    if isinstance(choice, FunctionChoice):
        return chat_pb2.ToolChoice(mode=_MODES["required"], functions=[choice.name])
    if isinstance(choice, AllowedTools):
        names = [tool.name for tool in choice.tools]
        return chat_pb2.ToolChoice(mode=_MODES[choice.mode], functions=names)
    return chat_pb2.ToolChoice(mode=_MODES[choice])


def _constraint_to_proto(wanted: Format | None) -> inference_pb2.OutputConstraint | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.json_schema is None:
        return inference_pb2.OutputConstraint(json_object=inference_pb2.JsonObject())
    return inference_pb2.OutputConstraint(json_schema=wanted.json_schema)
