"""What `/v1/responses` answers."""

from __future__ import annotations

from typing import Any, Literal

from rest_gateway.openapi.answers.chat import TokenLogprob
from rest_gateway.openapi.operation import Answer

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(Answer):
    """Text of the answer."""

    type: Literal["output_text"]
    text: str
    annotations: list[None]
    logprobs: list[TokenLogprob]


class OutputMessage(Answer):
    """The answer's text, as an item."""

    id: str
    type: Literal["message"]
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class ReasoningText(Answer):
    """What the model thought."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(Answer):
    """What the model thought, as an item."""

    id: str
    type: Literal["reasoning"]
    status: ItemStatus
    summary: list[None]
    content: list[ReasoningText]
    encrypted_content: None


class FunctionCall(Answer):
    """A call of a function; its result names the `call_id`."""

    id: str
    type: Literal["function_call"]
    status: ItemStatus
    arguments: str
    call_id: str
    name: str


class InputTokensDetails(Answer):
    """Of the input's tokens."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(Answer):
    """Of the output's tokens."""

    reasoning_tokens: int


class ResponseUsage(Answer):
    """Tokens used."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(Answer):
    """Why a response failed."""

    code: Literal["rate_limit_exceeded", "invalid_prompt", "server_error"]
    message: str


class IncompleteDetails(Answer):
    """Why a response is not whole."""

    reason: Literal["max_output_tokens"]


class Reasoning(Answer):
    """The request's, as it was taken."""

    effort: str | None
    summary: None


class TextForm(Answer):
    """The request's, as it was taken."""

    format: dict[str, Any]
    verbosity: Literal["medium"]


class ResponseTool(Answer):
    """The request's, as it was taken."""

    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class Response(Answer):
    """A response, as it is now."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    output: list[OutputMessage | ReasoningItem | FunctionCall]
    store: bool
    usage: ResponseUsage | None
    background: bool
    conversation: None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt: None
    prompt_cache_key: str | None
    prompt_cache_retention: str | None
    reasoning: Reasoning
    safety_identifier: str | None
    service_tier: Literal["default"]
    temperature: float | None
    text: TextForm
    tool_choice: str | dict[str, Any]
    tools: list[ResponseTool]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["auto", "disabled"]
    user: str | None


class DeletedResponse(Answer):
    """A response is kept no longer."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputItems(Answer):
    """What a response was asked."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str
    last_id: str
    has_more: bool


class InputTokens(Answer):
    """Tokens that a response would have as input."""

    object: Literal["response.input_tokens"]
    input_tokens: int
