"""Functions that a model may call, and whether it must, as clients of responses send them.

Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.json_text import JsonObject
from rest_gateway.openai.responses.items import Name
from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

MAX_TOOLS = 128


def _finite(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise PydanticCustomError("not_finite", "has a number that is too large") from None
    return value


# A JSON object that can be sent back as it came.
FiniteJson = Annotated[JsonObject, BeforeValidator(_finite)]


def _refuse_hosted(data: object, known: str) -> object:
    """Name a type that only OpenAI's own servers can run."""
    kind = data.get("type") if isinstance(data, dict) else None
    if isinstance(kind, str) and kind not in known.split():
        raise PydanticCustomError(
            UNSUPPORTED,
            "tools of type {type} are not supported; only 'function' is",
            on("type", type=quoted(kind)),
        )
    return data


class FunctionTool(StrictModel):
    """A function that the model may call."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: FiniteJson | None = None
    strict: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_function(cls, data: object) -> object:
        return _refuse_hosted(data, "function")


class FunctionChoice(StrictModel):
    """The function that is to be called."""

    type: Literal["function"]
    name: Name

    @model_validator(mode="before")
    @classmethod
    def _is_function(cls, data: object) -> object:
        return _refuse_hosted(data, "function")


class AllowedTools(StrictModel):
    """Some of the request's functions."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[
        list[FunctionChoice], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)
    ]


def _kind_of_choice(value: object) -> str | None:
    if isinstance(value, str):
        return "<mode>"
    if isinstance(value, dict):
        return "<allowed>" if value.get("type") == "allowed_tools" else "<function>"
    return None


def _of_known_type(value: object) -> object:
    return _refuse_hosted(value, "function allowed_tools")


Mode = Literal["none", "auto", "required"]
ToolChoice = Annotated[
    Annotated[Mode, Tag("<mode>")]
    | Annotated[FunctionChoice, Tag("<function>")]
    | Annotated[AllowedTools, Tag("<allowed>")],
    Discriminator(
        _kind_of_choice,
        custom_error_type="tool_choice_type",
        custom_error_message="must be 'none', 'auto', 'required', or an object with a type",
    ),
    BeforeValidator(_of_known_type),
]


def chosen_names(choice: Mode | FunctionChoice | AllowedTools | None) -> list[str]:
    """Give the functions that a choice names; empty if it names none."""
    if isinstance(choice, FunctionChoice):
        return [choice.name]
    if isinstance(choice, AllowedTools):
        return [tool.name for tool in choice.tools]
    return []
