"""The blocks that messages are made of, as clients send them.

Source: https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_BLOCKS = 1_024

Nothing = Annotated[list[Any], Field(max_length=0, fail_fast=True)] | None


class CacheControl(StrictModel):
    """A mark in the prompt up to which a cache is wanted; the server's works without being told."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class DirectCaller(StrictModel):
    """Who called a tool: the model itself."""

    type: Literal["direct"]


class TextBlock(StrictModel):
    """Text."""

    type: Literal["text"]
    text: str
    citations: Nothing = None
    cache_control: CacheControl | None = None


class ThinkingBlock(StrictModel):
    """What the model thought before it answered."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(StrictModel):
    """What another server's model thought, which only that server can read."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(StrictModel):
    """A call of a tool."""

    type: Literal["tool_use"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    input: dict[str, Any]
    cache_control: CacheControl | None = None
    caller: DirectCaller | None = None
    toolset_name: None = None


def _kind(value: object) -> str | None:
    return str(value.get("type")) if isinstance(value, dict) else None


def _only(*kinds: str) -> BeforeValidator:
    """Refuse blocks of other types by name, before their keys are looked at."""
    known = frozenset(kinds)

    def check(value: object) -> object:
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind not in known:
            raise PydanticCustomError(
                UNSUPPORTED,
                "blocks of type {type} are not supported here; only {known} are",
                on("type", type=quoted(kind), known=", ".join(map(quoted, kinds))),
            )
        return value

    return BeforeValidator(check)


def _kind_of_content(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<blocks>" if isinstance(value, list) else None


# Without an object of a known type there is nothing to choose a block by.
_BY_TYPE = Discriminator(
    _kind, custom_error_type="block_type", custom_error_message="must be an object with a type"
)
_TEXT_OR_BLOCKS = Discriminator(
    _kind_of_content,
    custom_error_type="content_type",
    custom_error_message="must be a string or a list of blocks",
)
_BOUNDS = Field(max_length=MAX_BLOCKS, fail_fast=True)
# The tags in angle brackets are left out of parameters' names; those of blocks are in them, as
# Anthropic has it: `messages.0.content.1.tool_use.id`.
_Text = Annotated[str, Tag("<text>")]

Texts = Annotated[
    _Text
    | Annotated[
        list[Annotated[TextBlock, _only("text")]],
        _BOUNDS,
        Tag("<blocks>"),
    ],
    _TEXT_OR_BLOCKS,
]


class ToolResultBlock(StrictModel):
    """What a tool returned."""

    type: Literal["tool_result"]
    tool_use_id: str = Field(min_length=1)
    content: Texts | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: None = None


UserBlock = Annotated[
    Annotated[TextBlock, Tag("text")] | Annotated[ToolResultBlock, Tag("tool_result")],
    _BY_TYPE,
]
AssistantBlock = Annotated[
    Annotated[TextBlock, Tag("text")]
    | Annotated[ThinkingBlock, Tag("thinking")]
    | Annotated[RedactedThinkingBlock, Tag("redacted_thinking")]
    | Annotated[ToolUseBlock, Tag("tool_use")],
    _BY_TYPE,
]
UserContent = Annotated[
    _Text
    | Annotated[
        list[Annotated[UserBlock, _only("text", "tool_result")]],
        Field(min_length=1, max_length=MAX_BLOCKS, fail_fast=True),
        Tag("<blocks>"),
    ],
    _TEXT_OR_BLOCKS,
]
AssistantContent = Annotated[
    _Text
    | Annotated[
        list[Annotated[AssistantBlock, _only("text", "thinking", "redacted_thinking", "tool_use")]],
        _BOUNDS,
        Tag("<blocks>"),
    ],
    _TEXT_OR_BLOCKS,
]
