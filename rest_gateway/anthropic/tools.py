"""The tools that a model may use, as clients send them.

Source: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.anthropic.content import CacheControl
from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_TOOLS = 128


class Tool(StrictModel):
    """A tool that the client runs."""

    name: str
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    # Inputs are streamed as they are generated, whatever this says; joined they are the same.
    eager_input_streaming: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: Annotated[list[Literal["direct"]], Field(max_length=1, fail_fast=True)] | (
        None
    ) = None
    input_examples: Annotated[list[Any], Field(max_length=0, fail_fast=True)] | None = None

    @field_validator("defer_loading")
    @classmethod
    def _is_loaded(cls, value: bool | None) -> bool | None:
        if value:
            raise PydanticCustomError(UNSUPPORTED, "there is no search for tools here")
        return value


def _is_client_tool(value: object) -> object:
    """Refuse tools of the server by name, before their keys are looked at."""
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind != "custom":
        raise PydanticCustomError(
            UNSUPPORTED,
            "tools of type {type} are not supported; only 'custom' is",
            on("type", type=quoted(kind)),
        )
    return value


Tools = Annotated[
    list[Annotated[Tool, BeforeValidator(_is_client_tool)]],
    Field(max_length=MAX_TOOLS, fail_fast=True),
]


class ToolChoice(StrictModel):
    """Whether and which tools are to be used."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = Field(None, min_length=1)
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _fields_fit_type(self) -> Self:
        if (self.type == "tool") != (self.name is not None):
            if self.name is None:
                raise PydanticCustomError("missing", "Field required", on("name"))
            raise PydanticCustomError(
                "tool_choice", "only a choice of the type 'tool' has it", on("name")
            )
        return self
