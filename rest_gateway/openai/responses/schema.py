"""The requests for responses that clients send, checked.

Source: https://platform.openai.com/docs/api-reference/responses/create. Types are strict, and what
a model here can't do is refused by name; `parameters` has the list.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.body import parse
from rest_gateway.openai.keep_alive import KeepAliveFields
from rest_gateway.openai.parameters import drop_refused
from rest_gateway.openai.responses.items import MAX_ITEMS, Item, Name
from rest_gateway.openai.responses.parameters import PARAMETERS
from rest_gateway.openai.responses.tools import (
    MAX_TOOLS,
    FiniteJson,
    FunctionTool,
    ToolChoice,
    chosen_names,
)
from rest_gateway.openai.shown import quoted
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

UINT32_MAX = 2**32 - 1
MAX_METADATA = 16  # these three are OpenAI's
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512
LOGPROBS = "message.output_text.logprobs"

_Id = Annotated[str, Field(min_length=1, max_length=256)]


class StreamOptions(StrictModel):
    """What a stream holds besides the response."""

    include_obfuscation: bool | None = None


class Reasoning(StrictModel):
    """How long to reason. Summaries, other than as the server sees fit, are refused."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto"] | None = None
    generate_summary: Literal["auto"] | None = None
    context: Literal["auto"] | None = None
    mode: Literal["standard"] | None = None


class Format(StrictModel):
    """What form the text must have."""

    type: Literal["text", "json_object", "json_schema"]
    name: Name | None = None
    description: str | None = None
    json_schema: FiniteJson | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _fields_fit_type(self) -> Self:
        for field, sent in ((self.name, "name"), (self.json_schema, "schema")):
            if self.type == "json_schema" and field is None:
                raise PydanticCustomError("missing", "is missing", on(sent))
            if self.type != "json_schema" and field is not None:
                raise PydanticCustomError("format", "only json_schema has it", on(sent))
        return self


class Text(StrictModel):
    """What form the answer has."""

    format: Format | None = None
    verbosity: Literal["medium"] | None = None


def _kind_of_input(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<items>" if isinstance(value, list) else None


Input = Annotated[
    Annotated[str, Tag("<text>")]
    | Annotated[
        list[Item], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True), Tag("<items>")
    ],
    Discriminator(
        _kind_of_input,
        custom_error_type="input_type",
        custom_error_message="must be a string or a list of items",
    ),
]


class ConversationRequest(StrictModel):
    """What a response answers: this is also the body of `POST /v1/responses/input_tokens`."""

    model: str = Field(min_length=1)
    input: Input
    instructions: str | None = None
    previous_response_id: _Id | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: Text | None = None
    truncation: Literal["auto", "disabled"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _ask_for_nothing_refused(cls, data: object) -> object:
        return drop_refused(data, PARAMETERS)

    @model_validator(mode="after")
    def _choice_is_of_tools(self) -> Self:
        names = {tool.name for tool in self.tools or ()}
        for name in chosen_names(self.tool_choice):
            if name not in names:
                raise PydanticCustomError(
                    "tool_choice", "there is no tool {name}", on("tool_choice", name=quoted(name))
                )
        if self.tool_choice == "required" and not names:
            raise PydanticCustomError("tool_choice", "there are no tools", on("tool_choice"))
        return self


class ResponseRequest(ConversationRequest, KeepAliveFields):
    """The body of `POST /v1/responses`."""

    background: bool | None = None
    client_metadata: dict[str, Any] | None = None
    include: Annotated[list[str], Field(max_length=16, fail_fast=True)] | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    max_tool_calls: int | None = Field(None, ge=1, le=UINT32_MAX)
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    user: str | None = None

    @field_validator("include")
    @classmethod
    def _include_is_known(cls, value: list[str] | None) -> list[str] | None:
        for name in value or ():
            if name not in {LOGPROBS, "reasoning.encrypted_content"}:
                raise PydanticCustomError(
                    UNSUPPORTED, "{name} can't be included", {"name": quoted(name)}
                )
        return value

    @field_validator("metadata", mode="before")
    @classmethod
    def _metadata_is_small(cls, value: object) -> object:
        # Here, as pydantic counts a dictionary's entries after it has checked them all.
        if isinstance(value, dict) and len(value) > MAX_METADATA:
            raise PydanticCustomError("metadata", f"must have at most {MAX_METADATA} entries")
        return value

    @field_validator("metadata")
    @classmethod
    def _metadata_is_short(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for key, text in (value or {}).items():
            if len(key) > MAX_METADATA_KEY or len(text) > MAX_METADATA_VALUE:
                raise PydanticCustomError(
                    "metadata",
                    f"a key has at most {MAX_METADATA_KEY} characters, and a value "
                    f"{MAX_METADATA_VALUE}",
                )
        return value

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError(
                "stream_options", "is allowed only with stream: true", on("stream_options")
            )
        if self.background and self.stream:
            raise PydanticCustomError(
                UNSUPPORTED,
                "a background response can't be streamed; ask for it with GET until it ends",
                on("stream"),
            )
        if self.background and self.store is False:
            raise PydanticCustomError(
                "background", "a background response must be stored", on("store")
            )
        return self

    @property
    def stored(self) -> bool:
        """Whether the response is to be kept."""
        return self.store is not False

    @property
    def obfuscated(self) -> bool:
        """Whether deltas are padded, so that their sizes don't tell of their texts."""
        return bool(self.stream_options and self.stream_options.include_obfuscation)

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are to be given."""
        return LOGPROBS in (self.include or ())


parse_response_request = partial(parse, ResponseRequest)


parse_input_tokens_request = partial(parse, ConversationRequest)
