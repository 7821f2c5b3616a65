"""The requests that clients of Anthropic's API send, checked.

Source: https://docs.anthropic.com/en/api/messages. Types are strict, and what can't be done is
refused by name, as in OpenAI's API.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator as By
from pydantic import Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.anthropic.content import AssistantContent, CacheControl, Texts, UserContent
from rest_gateway.anthropic.invalid import invalid_request
from rest_gateway.anthropic.parameters import PARAMETERS
from rest_gateway.anthropic.tools import ToolChoice, Tools
from rest_gateway.openai.body import parse
from rest_gateway.openai.parameters import drop_refused
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

UINT32_MAX = 2**32 - 1
MAX_MESSAGES = 16_384
MAX_STOP_SEQUENCES = 16
MIN_BUDGET_TOKENS = 1_024  # Anthropic's


class UserMessage(StrictModel):
    """A turn of the user's, or of the client's program with the results of tools."""

    role: Literal["user"]
    content: UserContent


class AssistantMessage(StrictModel):
    """A turn of the model's."""

    role: Literal["assistant"]
    content: AssistantContent


class SystemMessage(StrictModel):
    """Instructions that come in the course of a conversation."""

    role: Literal["system"]
    content: Texts


def _role(value: object) -> str | None:
    return f"<{value.get('role')}>" if isinstance(value, dict) else None


Message = Annotated[
    Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")]
    | Annotated[SystemMessage, Tag("<system>")],
    By(
        _role,
        custom_error_type="role",
        custom_error_message="must be an object whose role is 'user', 'assistant' or 'system'",
    ),
]


class Thinking(StrictModel):
    """Whether the model is to think before it answers, and to show it."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = Field(None, ge=MIN_BUDGET_TOKENS, le=UINT32_MAX)
    display: Literal["summarized", "omitted"] | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _type_is_supported(cls, value: object) -> object:
        if value == "between_tools":
            raise PydanticCustomError(UNSUPPORTED, "'between_tools' is not supported")
        return value

    @model_validator(mode="after")
    def _fields_fit_type(self) -> Self:
        if self.type == "enabled" and self.budget_tokens is None:
            raise PydanticCustomError("missing", "is missing", on("budget_tokens"))
        if self.type != "enabled" and self.budget_tokens is not None:
            raise PydanticCustomError(
                "thinking", "only thinking of the type 'enabled' has it", on("budget_tokens")
            )
        if self.type == "disabled" and self.display is not None:
            raise PydanticCustomError("thinking", "there is nothing to display", on("display"))
        return self


class OutputFormat(StrictModel):
    """JSON that the answer must be."""

    type: Literal["json_schema"]
    # Not `schema`, which is pydantic's own.
    json_schema: dict[str, Any] = Field(alias="schema")


class OutputConfig(StrictModel):
    """The form of the answer, and how much effort to put into it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class AllThinkingTurns(StrictModel):
    """The thinking of all turns."""

    type: Literal["all"]


class ContextEdit(StrictModel):
    """What is to be left out of the conversation: nothing, as no edit is made here."""

    type: Literal["clear_thinking_20251015"]
    keep: Literal["all"] | AllThinkingTurns

    @model_validator(mode="before")
    @classmethod
    def _keeps_all(cls, data: object) -> object:
        if isinstance(data, dict):
            if data.get("type") != "clear_thinking_20251015":
                raise PydanticCustomError(UNSUPPORTED, "nothing is edited or compacted", on("type"))
            if data.get("keep") not in ("all", {"type": "all"}):
                raise PydanticCustomError(
                    UNSUPPORTED, "nothing is edited or compacted; it may only be 'all'", on("keep")
                )
        return data


class ContextManagement(StrictModel):
    """Edits of the conversation before the model is given it."""

    edits: Annotated[list[ContextEdit], Field(max_length=16, fail_fast=True)] | None = None


class Metadata(StrictModel):
    """What is said about the request."""

    user_id: str | None = None


class CountTokensRequest(StrictModel):
    """The body of `POST /v1/messages/count_tokens`: what makes the prompt.

    A conversation has at most 16,384 messages of 1,024 blocks.
    """

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
    system: Texts | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    # Accepted and not used; PARAMETERS says why.
    cache_control: CacheControl | None = None
    context_management: ContextManagement | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_refused(cls, data: object) -> object:
        return drop_refused(data, PARAMETERS)

    @model_validator(mode="after")
    def _last_turn_can_be_answered(self) -> Self:
        last = self.messages[-1]
        if isinstance(last, AssistantMessage) and not isinstance(last.content, str):
            blocks = last.content
            if any(block.type == "tool_use" for block in blocks):
                problem = "the conversation ends before the result of a tool's use"
            elif blocks and blocks[-1].type != "text":
                problem = "the answer can go on only from a block of text"
            else:
                return self
            raise PydanticCustomError(
                "last_turn", problem, on(f"messages.{len(self.messages) - 1}.content")
            )
        return self

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        if self.output_format and self.output_config and self.output_config.format:
            raise PydanticCustomError(
                "output_format", "contradicts output_config.format; give one", on("output_format")
            )
        return self


class MessagesRequest(CountTokensRequest):
    """The body of `POST /v1/messages`."""

    max_tokens: int = Field(ge=1, le=UINT32_MAX)
    stop_sequences: (
        Annotated[
            list[Annotated[str, Field(min_length=1)]],
            Field(max_length=MAX_STOP_SEQUENCES, fail_fast=True),
        ]
        | None
    ) = None
    temperature: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(None, ge=0, le=UINT32_MAX)
    stream: bool | None = None
    # Accepted and not used; PARAMETERS says why.
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    @model_validator(mode="after")
    def _budget_is_less(self) -> Self:
        budget = self.thinking.budget_tokens if self.thinking else None
        if budget is not None and budget >= self.max_tokens:
            raise PydanticCustomError(
                "thinking", "must be less than max_tokens", on("thinking.budget_tokens")
            )
        return self


parse_messages = partial(parse, MessagesRequest, problem=invalid_request)


parse_count_tokens = partial(parse, CountTokensRequest, problem=invalid_request)
