"""The tools that a model may call, and which of them it is to call."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.json_text import JsonObject
from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_TOOLS = 128


class Typed(StrictModel):
    """An object whose type is to be `function`; custom tools are refused by name."""

    type: Literal["function"]

    @model_validator(mode="before")
    @classmethod
    def _type_is_function(cls, data: object) -> object:
        # Before the keys are looked at: objects of other types have other keys.
        kind = data.get("type") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind != "function":
            raise PydanticCustomError(
                UNSUPPORTED,
                "tools of type {type} are not supported; only 'function' is",
                on("type", type=quoted(kind)),
            )
        return data


class Function(StrictModel):
    """What a function is for and what it takes, as a JSON Schema of an object."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(Typed):
    """A function that the model may call."""

    function: Function


class NamedFunction(StrictModel):
    """A function among the tools, by its name."""

    name: str


class NamedTool(Typed):
    """The one function to be called."""

    function: NamedFunction


class AllowedFunction(StrictModel):
    """A function among the tools; only its name counts."""

    name: str
    description: Any = None
    parameters: Any = None
    strict: Any = None


class AllowedTool(Typed):
    """A function that may be called."""

    function: AllowedFunction


class AllowedTools(StrictModel):
    """Which functions may be called, and whether one must be."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedTool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)]


class AllowedToolChoice(StrictModel):
    """A choice of several functions."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def _kind_of_choice(value: object) -> str | None:
    if isinstance(value, str):
        return "<mode>"
    if isinstance(value, dict):
        return "<allowed>" if value.get("type") == "allowed_tools" else "<named>"
    return None


# The tags are in angle brackets so that parameters' names can leave them out.
ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<mode>")]
    | Annotated[NamedTool, Tag("<named>")]
    | Annotated[AllowedToolChoice, Tag("<allowed>")],
    Discriminator(
        _kind_of_choice,
        custom_error_type="tool_choice_type",
        custom_error_message="must be 'none', 'auto', 'required' or an object",
    ),
]
Tools = Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)]
