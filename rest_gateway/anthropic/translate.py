"""Requests for messages as the service's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openvino_server.v1 import chat_pb2, inference_pb2
from pydantic_core import to_json

from rest_gateway.anthropic.conversation import Conversation
from rest_gateway.anthropic.origins import RENAMED, OriginNames
from rest_gateway.anthropic.schema import CountTokensRequest, MessagesRequest, OutputFormat
from rest_gateway.anthropic.tools import Tool, ToolChoice
from rest_gateway.openai.names import Names

_MODES: Mapping[str, chat_pb2.ToolChoiceMode.ValueType] = {
    "auto": chat_pb2.TOOL_CHOICE_MODE_AUTO,
    "any": chat_pb2.TOOL_CHOICE_MODE_REQUIRED,
    "tool": chat_pb2.TOOL_CHOICE_MODE_REQUIRED,
    "none": chat_pb2.TOOL_CHOICE_MODE_NONE,
}
_NO_EFFORT = "none"
# What Anthropic's API does unless told otherwise.
_EFFORT = "high"
_MOST_EFFORT = "xhigh"


def messages_to_proto(request: MessagesRequest) -> tuple[inference_pb2.GenerateRequest, Names]:
    """Say a request for a message in the service's terms. What was left out stays unset.

    Returns:
        The request, and how the client calls its fields.

    """
    chat, names = _chat(request)
    wanted = _output_format(request)
    return inference_pb2.GenerateRequest(
        model=request.model,
        chat=chat,
        sampling=inference_pb2.SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k or None,
            max_tokens=request.max_tokens,
            stop=request.stop_sequences or (),
        ),
        constraint=inference_pb2.OutputConstraint(json_schema=to_json(wanted.json_schema).decode())
        if wanted
        else None,
    ), names


def count_tokens_to_proto(
    request: CountTokensRequest,
) -> tuple[inference_pb2.TokenizeRequest, Names]:
    """Say a request for a count of tokens in the service's terms.

    Returns:
        As `messages_to_proto`.

    """
    chat, names = _chat(request)
    return inference_pb2.TokenizeRequest(model=request.model, chat=chat), names


def _chat(request: CountTokensRequest) -> tuple[chat_pb2.ChatInput, Names]:
    conversation = Conversation(request)
    choice = request.tool_choice
    chat = chat_pb2.ChatInput(
        messages=conversation.messages,
        tools=_tools(request.tools or ()),
        tool_choice=_tool_choice(choice) if choice else None,
        parallel_tool_calls=False if choice and choice.disable_parallel_tool_use else None,
        reasoning_effort=_effort(request),
        continue_final_message=conversation.continues or None,
    )
    renamed = RENAMED
    if request.output_format:
        renamed = {**RENAMED, "constraint.json_schema": "output_format.schema"}
    return chat, OriginNames(renamed=renamed, origins=conversation.origins)


def _tools(tools: Iterable[Tool]) -> list[chat_pb2.Tool]:
    return [
        chat_pb2.Tool(
            name=tool.name,
            description=tool.description,
            parameters_json=to_json(tool.input_schema).decode(),
            strict=tool.strict,
        )
        for tool in tools
    ]


def _tool_choice(choice: ToolChoice) -> chat_pb2.ToolChoice:
    return chat_pb2.ToolChoice(
        mode=_MODES[choice.type], functions=() if choice.name is None else [choice.name]
    )


def _effort(request: CountTokensRequest) -> str | None:
    """Say thinking in the one word that the service knows for it."""
    thinking = request.thinking
    if thinking and thinking.type == "disabled":
        return _NO_EFFORT
    effort = request.output_config.effort if request.output_config else None
    if effort is None:
        return _EFFORT if thinking else None
    return _MOST_EFFORT if effort == "max" else effort


def _output_format(request: MessagesRequest) -> OutputFormat | None:
    return (request.output_config and request.output_config.format) or request.output_format
