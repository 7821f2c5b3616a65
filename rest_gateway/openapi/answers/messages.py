"""What Anthropic's `/v1/messages` answers."""

from __future__ import annotations

from typing import Any, Literal

from rest_gateway.openapi.operation import Answer


class TextBlock(Answer):
    """Text of the answer."""

    type: Literal["text"]
    text: str


class ThinkingBlock(Answer):
    """What the model thought; it is not signed."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUseBlock(Answer):
    """A use of a tool."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class AnthropicErrorDetails(Answer):
    """The cause, for programs; `unsupported` comes with `thread_unsupported_request` alone."""

    error_code: str
    unsupported: list[str] | None = None


class AnthropicError(Answer):
    """What went wrong."""

    type: str
    message: str
    details: AnthropicErrorDetails | None = None


class AnthropicErrorAnswer(Answer):
    """An error of Anthropic's form."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str | None


class TokenCount(Answer):
    """Tokens that a message would have as input."""

    input_tokens: int


class ThinkingTokens(Answer):
    """Of the tokens generated."""

    thinking_tokens: int


class MessageUsage(Answer):
    """Tokens used; `input_tokens` are without those that the prefix cache had."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int | None
    output_tokens: int
    output_tokens_details: ThinkingTokens
    service_tier: Literal["standard"]


class Message(Answer):
    """The model's answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[TextBlock | ThinkingBlock | ToolUseBlock]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]
    stop_sequence: str | None
    stop_details: None
    container: None
    usage: MessageUsage
