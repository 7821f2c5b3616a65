"""The items of a conversation, as clients send them and as responses hold them.

Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_ITEMS = 16_384
MAX_PARTS = 1_024

Status = Literal["in_progress", "completed", "incomplete"]
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _is_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise PydanticCustomError("name", "must be 1 to 64 characters of a-z, A-Z, 0-9, _ and -")
    return value


Name = Annotated[str, AfterValidator(_is_name)]
_Id = Annotated[str, Field(min_length=1, max_length=256)]
_Neglected = Annotated[list[Any], Field(max_length=MAX_ITEMS)]


class Part(StrictModel):
    """A piece of a message's content. Annotations and log-probabilities aren't for the model."""

    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: _Neglected | None = None
    logprobs: _Neglected | None = None
    # What OpenAI's client made of the text, and leaves in it.
    parsed: Any = None
    # The prefix cache finds equal beginnings itself.
    prompt_cache_breakpoint: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _type_is_text(cls, data: object) -> object:
        # Before the keys are looked at: parts of other types have other keys.
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind not in {"input_text", "output_text", "refusal"}:
            raise PydanticCustomError(
                UNSUPPORTED,
                "content parts of type {type} are not supported; only 'input_text', 'output_text' "
                "and 'refusal' are",
                on("type", type=quoted(kind)),
            )
        return data

    @model_validator(mode="after")
    def _has_its_text(self) -> Self:
        wanted, other = ("refusal", "text") if self.type == "refusal" else ("text", "refusal")
        if getattr(self, wanted) is None:
            raise PydanticCustomError("missing", "is missing", on(wanted))
        if getattr(self, other) is not None:
            raise PydanticCustomError("part", f"a part of this type has no {other}", on(other))
        return self

    @property
    def said(self) -> str:
        """What the model is given."""
        return (self.refusal if self.type == "refusal" else self.text) or ""


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


class MessageItem(StrictModel):
    """What someone said: at most 1,024 parts."""

    type: Literal["message"] | None = None
    id: _Id | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    status: Status | None = None
    # Tells comments from answers in OpenAI's models; models here have no such thing.
    phase: Literal["commentary", "final_answer"] | None = None

    @property
    def texts(self) -> list[str]:
        """What was said, piece by piece."""
        if isinstance(self.content, str):
            return [self.content]
        return [part.said for part in self.content]


class FunctionCallItem(StrictModel):
    """A call that the model made."""

    type: Literal["function_call"]
    id: _Id | None = None
    call_id: _Id
    name: Name
    arguments: str
    status: Status | None = None
    namespace: None = None
    caller: None = None
    # What OpenAI's client made of the arguments, and leaves in them; and a name of its own.
    parsed_arguments: Any = None
    async_: Literal[False] | None = None

    @model_validator(mode="after")
    def _arguments_are_json(self) -> Self:
        try:
            arguments = msgspec.json.decode(self.arguments)
        except (msgspec.DecodeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise PydanticCustomError(
                "arguments", "must be a JSON object, as a string", on("arguments")
            )
        return self


class FunctionCallOutputItem(StrictModel):
    """What a call gave."""

    type: Literal["function_call_output"]
    id: _Id | None = None
    call_id: _Id
    output: Content
    status: Status | None = None
    name: Name | None = None
    namespace: None = None
    caller: None = None

    @property
    def texts(self) -> list[str]:
        """What it gave, piece by piece."""
        if isinstance(self.output, str):
            return [self.output]
        return [part.said for part in self.output]


class ReasoningText(StrictModel):
    """A piece of reasoning, or of a summary of it."""

    type: Literal["reasoning_text", "summary_text"]
    text: str


_Texts = Annotated[list[ReasoningText], Field(max_length=MAX_PARTS, fail_fast=True)]


class ReasoningItem(StrictModel):
    """What the model thought before an answer or a call."""

    type: Literal["reasoning"]
    id: _Id | None = None
    summary: _Texts = Field(default_factory=list)
    content: _Texts | None = None
    encrypted_content: str | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.encrypted_content and not self.content and not self.summary:
            raise PydanticCustomError(
                UNSUPPORTED,
                "this server can't read what another one encrypted",
                on("encrypted_content"),
            )
        return self

    @property
    def said(self) -> str:
        """The reasoning, or its summary if there is nothing else."""
        return "".join(part.text for part in self.content or self.summary)


class ItemReference(StrictModel):
    """Stands for an item that the server keeps."""

    type: Literal["item_reference"] | None = None
    id: _Id


_KINDS = {"message", "function_call", "function_call_output", "reasoning", "item_reference"}


def _kind(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    if kind is None:
        kind = "item_reference" if "id" in value and "role" not in value else "message"
    return f"<{kind}>"


def _of_known_type(value: object) -> object:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind is not None and not isinstance(kind, str):
        raise PydanticCustomError("string_type", "must be a string", on("type"))
    if isinstance(kind, str) and kind not in _KINDS:
        raise PydanticCustomError(
            UNSUPPORTED,
            "items of type {type} are not supported; only {known} are",
            on("type", type=quoted(kind), known=", ".join(map(quoted, sorted(_KINDS)))),
        )
    return value


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[FunctionCallItem, Tag("<function_call>")]
    | Annotated[FunctionCallOutputItem, Tag("<function_call_output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")]
    | Annotated[ItemReference, Tag("<item_reference>")],
    Discriminator(_kind, custom_error_type="item_type", custom_error_message="must be an object"),
    BeforeValidator(_of_known_type),
]
