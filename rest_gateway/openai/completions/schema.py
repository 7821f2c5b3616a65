"""The requests for text completions that clients send, checked.

Source: https://platform.openai.com/docs/api-reference/completions/create. Types are strict, and
what can't be done is refused by name: `parameters` has the table.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.body import parse
from rest_gateway.openai.chat.schema import CallerFields
from rest_gateway.openai.completions.parameters import PARAMETERS
from rest_gateway.openai.constraint import ConstraintFields
from rest_gateway.openai.keep_alive import KeepAliveFields
from rest_gateway.openai.parameters import drop_refused
from rest_gateway.openai.sampling import MAX_CHOICES, UINT32_MAX, SamplingFields
from rest_gateway.openai.streaming import StreamFields
from rest_gateway.openai.strict import UNSUPPORTED, on

MAX_TOKEN_IDS = 1 << 20
DEFAULT_MAX_TOKENS = 16  # OpenAI's

TokenIds = Annotated[
    list[Annotated[int, Field(ge=0, le=UINT32_MAX)]],
    Field(min_length=1, max_length=MAX_TOKEN_IDS, fail_fast=True),
]


def _kind_of_prompt(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if not isinstance(value, list):
        return None
    first = value[0] if value else None
    if isinstance(first, int):
        return "<ids>"
    return "<id lists>" if isinstance(first, list) else "<texts>"


# The tags are in angle brackets so that parameters' names can leave them out.
Prompt = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[str],
        Field(min_length=1, max_length=MAX_CHOICES, fail_fast=True),
        Tag("<texts>"),
    ]
    | Annotated[TokenIds, Tag("<ids>")]
    | Annotated[
        list[TokenIds],
        Field(min_length=1, max_length=MAX_CHOICES, fail_fast=True),
        Tag("<id lists>"),
    ],
    Discriminator(
        _kind_of_prompt,
        custom_error_type="prompt_type",
        custom_error_message="must be a string, a list of strings, a list of token ids or a list "
        "of such lists",
    ),
]


class CompletionRequest(
    SamplingFields, ConstraintFields, StreamFields, CallerFields, KeepAliveFields
):
    """The body of `POST /v1/completions`; at most 128 completions of all prompts together."""

    model: str = Field(min_length=1)
    prompt: Prompt
    max_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    logprobs: int | None = Field(None, ge=0)
    best_of: int | None = Field(None, ge=1, le=MAX_CHOICES)
    add_special_tokens: bool | None = None

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts, one by one."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)

    @model_validator(mode="before")
    @classmethod
    def _drop_refused(cls, data: object) -> object:
        return drop_refused(data, PARAMETERS)

    @field_validator("logprobs")
    @classmethod
    def _only_chosen_tokens(cls, value: int | None) -> int | None:
        if value:
            raise PydanticCustomError(
                UNSUPPORTED,
                "the engine gives the log-probability of the chosen token only; it may only be 0",
            )
        return value

    @model_validator(mode="after")
    def _completions_are_few(self) -> Self:
        if self.best_of not in (None, 1, self.choices):
            raise PydanticCustomError(
                UNSUPPORTED, "it may only be as n, or 1: all completions are given", on("best_of")
            )
        if len(self.prompts) * self.choices > MAX_CHOICES:
            raise PydanticCustomError(
                "n", f"makes more than {MAX_CHOICES} completions of all prompts", on("n")
            )
        return self


parse_completion = partial(parse, CompletionRequest)
