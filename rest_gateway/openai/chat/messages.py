"""The messages of a conversation, as clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_MESSAGES = 65_536
MAX_PARTS = 1_024


class TextPart(StrictModel):
    """A piece of a message's content."""

    type: str
    text: str

    @model_validator(mode="before")
    @classmethod
    def _type_is_text(cls, data: object) -> object:
        # Before the keys are looked at: parts of other types have other keys.
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind != "text":
            raise PydanticCustomError(
                UNSUPPORTED,
                "content parts of type {type} are not supported; only 'text' is",
                on("type", type=quoted(kind)),
            )
        return data


def _kind_of_content(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<parts>" if isinstance(value, list) else None


# The tags are in angle brackets so that parameters' names can leave them out.
Content = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[TextPart], Field(min_length=1, max_length=MAX_PARTS, fail_fast=True), Tag("<parts>")
    ],
    Discriminator(
        _kind_of_content,
        custom_error_type="content_type",
        custom_error_message="must be a string or a list of text parts",
    ),
]


class Message(StrictModel):
    """One turn of a conversation: at most 1,024 parts."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    # Calls of tools are refused while nothing here can call one.
    tool_calls: Any = None
    tool_call_id: str | None = None
    # What the answers of OpenAI's API hold, and so comes back with the next turn.
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: Annotated[list[Any], Field(max_length=0, fail_fast=True)] | None = None

    @field_validator("role")
    @classmethod
    def _role_is_not_tool(cls, value: str) -> str:
        if value == "tool":
            raise PydanticCustomError(UNSUPPORTED, "messages of the role 'tool' are not supported")
        return value

    @field_validator("tool_calls")
    @classmethod
    def _no_tool_calls(cls, value: object) -> None:
        if value is not None and value != []:
            raise PydanticCustomError(UNSUPPORTED, "calls of tools are not supported")

    @model_validator(mode="after")
    def _fields_fit_role(self) -> Self:
        if self.content is None:
            raise PydanticCustomError(
                "missing_content", "must not be null or left out", on("content")
            )
        if self.tool_call_id is not None:
            raise PydanticCustomError(
                "tool_call_id", "only a message of the role 'tool' has it", on("tool_call_id")
            )
        return self
