"""What `/v1/chat/completions` and `/v1/completions` answer."""

from __future__ import annotations

from typing import Literal

from rest_gateway.openapi.operation import Answer

FinishReason = Literal["stop", "length", "tool_calls"]


class PromptTokensDetails(Answer):
    """Of the prompt's tokens; `cached_tokens` is null when it is not known."""

    cached_tokens: int | None


class CompletionTokensDetails(Answer):
    """Of the tokens generated."""

    reasoning_tokens: int


class Usage(Answer):
    """Tokens used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class TokenLogprob(Answer):
    """A token and the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[None]


class ChoiceLogprobs(Answer):
    """The tokens of a message's content."""

    content: list[TokenLogprob] | None
    refusal: None


class CalledFunction(Answer):
    """A function and its arguments, as JSON in a string."""

    name: str
    arguments: str


class ToolCall(Answer):
    """A call of a function."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(Answer):
    """What the model says."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class ChatChoice(Answer):
    """One completion."""

    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(Answer):
    """One or more completions of a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    service_tier: Literal["default"]
    system_fingerprint: str | None


class CompletionLogprobs(Answer):
    """The tokens of a completion, and where each begins in its text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: None
    text_offset: list[int]


class CompletionChoice(Answer):
    """One completion."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason


class Completion(Answer):
    """One or more completions of one or more prompts."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    system_fingerprint: str | None
