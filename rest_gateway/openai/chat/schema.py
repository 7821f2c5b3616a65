"""The requests that clients of OpenAI's API send, checked.

Source: https://platform.openai.com/docs/api-reference/chat/create. Types are strict: a string is no
number, and neither is a boolean. What a model here can't do is refused by name, never ignored:
`parameters` has the table.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.body import parse
from rest_gateway.openai.chat.messages import MAX_MESSAGES, Message
from rest_gateway.openai.chat.parameters import PARAMETERS
from rest_gateway.openai.chat.tools import ToolChoice, Tools
from rest_gateway.openai.constraint import ConstraintFields
from rest_gateway.openai.json_text import JsonObject
from rest_gateway.openai.keep_alive import KeepAliveFields
from rest_gateway.openai.parameters import drop_refused
from rest_gateway.openai.sampling import UINT32_MAX, SamplingFields
from rest_gateway.openai.streaming import StreamFields
from rest_gateway.openai.strict import StrictModel, on

MAX_METADATA = 16  # OpenAI's


class ConversationFields(StrictModel):
    """What the model's chat template is given."""

    messages: (
        Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
        | None
    ) = None
    tools: Tools | None = None
    chat_template_kwargs: JsonObject | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None

    @model_validator(mode="after")
    def _answer_begins_once(self) -> Self:
        if self.continue_final_message and self.add_generation_prompt:
            raise PydanticCustomError(
                "add_generation_prompt",
                "contradicts continue_final_message",
                on("add_generation_prompt"),
            )
        if self.add_generation_prompt is False and not self.continue_final_message:
            raise PydanticCustomError(
                "add_generation_prompt",
                "may be false only with continue_final_message: true",
                on("add_generation_prompt"),
            )
        return self


class CallerFields(StrictModel):
    """What is accepted and not used: it names the caller, or is kept for nobody."""

    user: str | None = None
    metadata: dict[str, str] | None = None

    @field_validator("metadata", mode="before")
    @classmethod
    def _metadata_is_small(cls, value: object) -> object:
        # Here, as pydantic counts a dictionary's entries after it has checked them all.
        if isinstance(value, dict) and len(value) > MAX_METADATA:
            raise PydanticCustomError("metadata", f"must have at most {MAX_METADATA} entries")
        return value


class ChatCompletionRequest(
    SamplingFields,
    ConstraintFields,
    StreamFields,
    CallerFields,
    KeepAliveFields,
    ConversationFields,
):
    """The body of `POST /v1/chat/completions`: one of `messages` and `prompt`.

    A conversation has at most 16,384 messages, and `metadata` at most 16 entries.
    """

    model: str = Field(min_length=1)
    prompt: str | None = None
    max_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    max_completion_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    logprobs: bool | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    # Accepted and not used, like `user`, or for caches that work without being told.
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_refused(cls, data: object) -> object:
        return drop_refused(data, PARAMETERS)

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.messages is None and self.prompt is None:
            raise PydanticCustomError("missing", "is missing", on("messages"))
        if self.messages is not None and self.prompt is not None:
            raise PydanticCustomError(
                "messages", "give either messages or prompt, not both", on("messages")
            )
        if (
            self.max_tokens is not None
            and self.max_completion_tokens is not None
            and self.max_tokens != self.max_completion_tokens
        ):
            raise PydanticCustomError(
                "max_tokens", "contradicts max_completion_tokens; give one", on("max_tokens")
            )
        return self


parse_chat_completion = partial(parse, ChatCompletionRequest)
