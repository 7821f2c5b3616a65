"""Requests for chat completions as the service's messages."""

from __future__ import annotations

from collections.abc import Mapping

from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.chat.messages import Message
from rest_gateway.openai.chat.schema import ChatCompletionRequest
from rest_gateway.openai.chat.tools import AllowedToolChoice, NamedTool, Tool, ToolChoice
from rest_gateway.openai.constraint import constraint_names, constraint_to_proto
from rest_gateway.openai.keep_alive import keep_alive_to_proto
from rest_gateway.openai.names import Names
from rest_gateway.openai.sampling import sampling_to_proto

_ROLES: Mapping[str, chat_pb2.Role.ValueType] = {
    "developer": chat_pb2.ROLE_DEVELOPER,
    "system": chat_pb2.ROLE_SYSTEM,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}
_MODES: Mapping[str, chat_pb2.ToolChoiceMode.ValueType] = {
    "none": chat_pb2.TOOL_CHOICE_MODE_NONE,
    "auto": chat_pb2.TOOL_CHOICE_MODE_AUTO,
    "required": chat_pb2.TOOL_CHOICE_MODE_REQUIRED,
}
CONVERSATION_NAMES: Mapping[str, str] = {
    "chat.messages[].reasoning": "messages[].reasoning_content",
    "chat.messages[].tool_calls[].arguments_json": "messages[].tool_calls[].function.arguments",
    "chat.messages[].tool_calls[].name": "messages[].tool_calls[].function.name",
    "chat.template_kwargs_json": "chat_template_kwargs",
    "chat.tools[].description": "tools[].function.description",
    "chat.tools[].name": "tools[].function.name",
    "chat.tools[].parameters_json": "tools[].function.parameters",
}


def request_to_proto(request: ChatCompletionRequest) -> inference_pb2.GenerateRequest:
    """Say a request in the service's terms. What the client left out stays unset."""
    if request.messages is not None:
        messages = [message_to_proto(message) for message in request.messages]
    else:
        assert request.prompt is not None  # the schema wants one of the two
        part = chat_pb2.ContentPart(text=request.prompt)
        messages = [chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=[part])]
    max_tokens = request.max_completion_tokens
    return inference_pb2.GenerateRequest(
        model=request.model,
        chat=chat_pb2.ChatInput(
            messages=messages,
            tools=[tool_to_proto(tool) for tool in request.tools or ()],
            tool_choice=_tool_choice_to_proto(request.tool_choice),
            parallel_tool_calls=request.parallel_tool_calls,
            reasoning_effort=request.reasoning_effort,
            template_kwargs_json=request.chat_template_kwargs,
            continue_final_message=request.continue_final_message,
        ),
        sampling=sampling_to_proto(
            request,
            request.max_tokens if max_tokens is None else max_tokens,
            logprobs=bool(request.logprobs),
        ),
        constraint=constraint_to_proto(request),
        keep_alive=keep_alive_to_proto(request),
    )


def message_to_proto(message: Message) -> chat_pb2.ChatMessage:
    """Say a turn of a conversation in the service's terms."""
    return chat_pb2.ChatMessage(
        role=_ROLES[message.role],
        content=[chat_pb2.ContentPart(text=text) for text in message.texts],
        name=message.name,
        tool_calls=[
            chat_pb2.ToolCall(
                id=call.id,
                name=call.function.name,
                # Some servers write a call without arguments so, and their clients send it on.
                arguments_json=call.function.arguments or "{}",
            )
            for call in message.tool_calls or ()
        ],
        tool_call_id=message.tool_call_id,
        reasoning=message.thought,
    )


def tool_to_proto(tool: Tool) -> chat_pb2.Tool:
    """Say a function in the service's terms."""
    function = tool.function
    return chat_pb2.Tool(
        name=function.name,
        description=function.description,
        parameters_json=function.parameters,
        strict=function.strict,
    )


def _tool_choice_to_proto(choice: ToolChoice | None) -> chat_pb2.ToolChoice | None:
    match choice:
        case None:
            return None
        case NamedTool():
            return chat_pb2.ToolChoice(mode=_MODES["required"], functions=[choice.function.name])
        case AllowedToolChoice():
            allowed = choice.allowed_tools
            return chat_pb2.ToolChoice(
                mode=_MODES[allowed.mode], functions=[tool.function.name for tool in allowed.tools]
            )
        case _:
            return chat_pb2.ToolChoice(mode=_MODES[choice])


def names_of(request: ChatCompletionRequest) -> Names:
    """Tell under which names the client sent what the service knows by others."""
    renamed = dict(CONVERSATION_NAMES)
    if request.max_completion_tokens is not None:
        renamed["sampling.max_tokens"] = "max_completion_tokens"
    if isinstance(request.tool_choice, NamedTool):
        renamed["chat.tool_choice.functions[]"] = "tool_choice.function.name"
    if isinstance(request.tool_choice, AllowedToolChoice):
        function = "tool_choice.allowed_tools.tools[].function.name"
        renamed["chat.tool_choice.functions[]"] = function
    merged = {"chat.tool_choice": "tool_choice"}
    if request.prompt is not None:
        merged["chat.messages"] = "prompt"
    return Names(renamed, merged).with_others(constraint_names(request))
