"""The messages of a conversation, as clients send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_MESSAGES = 16_384
MAX_PARTS = 1_024
MAX_TOOL_CALLS = 1_024

_MEDIA: Mapping[str, str] = {
    "image_url": "images",
    "input_audio": "audio",
    "file": "files",
    "video_url": "videos",
    "audio_url": "audio",
}
# The fields of messages that only one role has.
_ROLE_OF: Mapping[str, str] = {
    "tool_call_id": "tool",
    "tool_calls": "assistant",
    "reasoning_content": "assistant",
    "reasoning": "assistant",
    "refusal": "assistant",
}


class Part(StrictModel):
    """A piece of a message's content: text, or the assistant's refusal."""

    type: Literal["text", "refusal"]
    text: str | None = None
    refusal: str | None = None
    # Accepted and not used: the prefix cache finds equal beginnings itself.
    prompt_cache_breakpoint: dict[str, Any] | None = None

    @property
    def said(self) -> str:
        """The piece's text."""
        said = self.text if self.type == "text" else self.refusal
        assert said is not None  # the validators want it
        return said

    @model_validator(mode="before")
    @classmethod
    def _type_is_supported(cls, data: object) -> object:
        # Before the keys are looked at: parts of other types have other keys.
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind not in {"text", "refusal"}:
            what = _MEDIA.get(kind)
            raise PydanticCustomError(
                UNSUPPORTED,
                "content parts of type {type} are not supported; only 'text' is{why}",
                on("type", type=quoted(kind), why=f": the model takes no {what}" if what else ""),
            )
        return data

    @model_validator(mode="after")
    def _text_fits_type(self) -> Self:
        other = "refusal" if self.type == "text" else "text"
        if getattr(self, self.type) is None:
            raise PydanticCustomError("missing", "is missing", on(self.type))
        if getattr(self, other) is not None:
            raise PydanticCustomError(
                "part", "a part of type {type} has none", on(other, type=quoted(self.type))
            )
        return self


def _kind_of_content(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<parts>" if isinstance(value, list) else None


# The tags are in angle brackets so that parameters' names can leave them out.
Content = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[Part], Field(min_length=1, max_length=MAX_PARTS, fail_fast=True), Tag("<parts>")
    ],
    Discriminator(
        _kind_of_content,
        custom_error_type="content_type",
        custom_error_message="must be a string or a list of text parts",
    ),
]


class CalledFunction(StrictModel):
    """A function that the model called; the arguments are JSON."""

    name: str
    arguments: str
    parsed_arguments: Any = None  # as `parsed` of a message


class ToolCall(StrictModel):
    """A call that the model made."""

    id: str
    type: Literal["function"]
    function: CalledFunction
    index: int | None = None  # clients that put a call together from chunks leave it in

    @model_validator(mode="before")
    @classmethod
    def _type_is_function(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("type") == "custom":
            raise PydanticCustomError(
                UNSUPPORTED, "calls of custom tools are not supported", on("type")
            )
        return data


class Message(StrictModel):
    """One turn of a conversation: at most 1,024 parts."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    tool_calls: (
        Annotated[list[ToolCall], Field(max_length=MAX_TOOL_CALLS, fail_fast=True)] | None
    ) = None
    tool_call_id: str | None = None
    # vLLM's and DeepSeek's two names of what the model thought.
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    # What OpenAI's clients add to an answer that they have parsed, and send with the next turn.
    parsed: Any = None
    # What the answers of OpenAI's API hold, and so comes back with the next turn.
    audio: None = None
    function_call: None = None
    annotations: Annotated[list[Any], Field(max_length=0, fail_fast=True)] | None = None

    @property
    def texts(self) -> list[str]:
        """What is said, in order; none in a message that only calls tools."""
        if isinstance(self.content, list):
            return [part.said for part in self.content]
        said = self.content or self.refusal or ""
        return [] if self.tool_calls and not said else [said]

    @property
    def thought(self) -> str | None:
        """What the model thought."""
        return self.reasoning if self.reasoning_content is None else self.reasoning_content

    @field_validator("role", mode="before")
    @classmethod
    def _role_is_not_function(cls, value: object) -> object:
        if value == "function":
            raise PydanticCustomError(
                UNSUPPORTED, "the role 'function' is deprecated; send the role 'tool'"
            )
        return value

    @field_validator("function_call", mode="before")
    @classmethod
    def _no_function_call(cls, value: object) -> object:
        if value is not None:
            raise PydanticCustomError(UNSUPPORTED, "it is deprecated; send tool_calls")
        return value

    @model_validator(mode="after")
    def _fields_fit_role(self) -> Self:
        for name, role in _ROLE_OF.items():
            # An empty list is as good as none.
            if self.role != role and getattr(self, name) not in (None, []):
                raise PydanticCustomError(
                    name, "only a message of the role {role} has it", on(name, role=quoted(role))
                )
        if self.content is None and self.refusal is None and not self.tool_calls:
            raise PydanticCustomError(
                "missing_content", "must not be null or left out", on("content")
            )
        if self.role != "assistant" and isinstance(self.content, list):
            for index, part in enumerate(self.content):
                if part.type == "refusal":
                    raise PydanticCustomError(
                        "part",
                        "only a message of the role 'assistant' has refusals",
                        on(f"content[{index}].type"),
                    )
        if None not in (self.reasoning, self.reasoning_content) and (
            self.reasoning != self.reasoning_content
        ):
            raise PydanticCustomError(
                "reasoning", "contradicts reasoning_content; send one", on("reasoning")
            )
        return self
