"""The requests that clients of OpenAI's API send, checked.

Source: https://platform.openai.com/docs/api-reference/chat/create. Types are strict: a string is no
number, and neither is a boolean. What a model here can't do is refused by name, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.chat.messages import MAX_MESSAGES, Message
from rest_gateway.openai.invalid import invalid_request
from rest_gateway.openai.models import check_model_name
from rest_gateway.openai.shown import as_json
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel, on

UINT32_MAX = 2**32 - 1
MAX_METADATA = 16  # OpenAI's

# Parameters of OpenAI's that do nothing here, with the values that ask for nothing. A null always
# asks for nothing; any other value is refused.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "parallel_tool_calls": (True, False),  # says nothing where there are no tools
    "prediction": (),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}


class StreamOptions(StrictModel):
    """What a stream holds besides the completion."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class ChatCompletionRequest(StrictModel):
    """The body of `POST /v1/chat/completions`.

    Not in OpenAI's API: `prompt`, short for one message of the user; and what clients of vLLM and
    llama.cpp send: `top_k` (at least 1; 0 and -1 mean all tokens, as in vLLM), `min_p`,
    `repetition_penalty`, `min_tokens` and `ignore_eos`.

    A conversation has at most 65,536 messages, and `metadata` at most 16 entries.
    """

    model: str = Field(min_length=1)
    messages: (
        Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
        | None
    ) = None
    prompt: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    presence_penalty: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    max_completion_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    stop: Annotated[list[str], Field(fail_fast=True)] | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    top_k: int | None = Field(None, ge=-1, le=UINT32_MAX)
    min_p: float | None = Field(None, ge=0, lt=1, allow_inf_nan=False)
    repetition_penalty: float | None = Field(None, gt=0, le=2, allow_inf_nan=False)
    min_tokens: int | None = Field(None, ge=0, le=UINT32_MAX)
    ignore_eos: bool | None = None
    # Accepted and not used: they name the caller, or tune caches that work without being told.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    metadata: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_neutral(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        for name in NEUTRAL.keys() & data.keys():
            value = data[name]
            # Types are compared too, as 1 == True == 1.0.
            if value is not None and not any(
                type(value) is type(neutral) and value == neutral for neutral in NEUTRAL[name]
            ):
                raise PydanticCustomError(
                    UNSUPPORTED,
                    "it is not supported{but}",
                    on(name, but=_but(NEUTRAL[name])),
                )
        return {name: value for name, value in data.items() if name not in NEUTRAL}

    @field_validator("stop", mode="before")
    @classmethod
    def _stop_is_texts(cls, value: object) -> object:
        texts = [value] if isinstance(value, str) else value
        if texts is None:
            return None
        if isinstance(texts, list) and len(texts) > 4:
            raise PydanticCustomError("stop", "must have at most 4 strings")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise PydanticCustomError("stop_type", "must be a string or a list of strings")
        if not all(texts):
            raise PydanticCustomError("stop", "must not be or contain an empty string")
        return texts

    @field_validator("metadata", mode="before")
    @classmethod
    def _metadata_is_small(cls, value: object) -> object:
        # Here, as pydantic counts a dictionary's entries after it has checked them all.
        if isinstance(value, dict) and len(value) > MAX_METADATA:
            raise PydanticCustomError("metadata", f"must have at most {MAX_METADATA} entries")
        return value

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.messages is None and self.prompt is None:
            raise PydanticCustomError("missing", "is missing", on("messages"))
        if self.messages is not None and self.prompt is not None:
            raise PydanticCustomError(
                "messages", "give either messages or prompt, not both", on("messages")
            )
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError(
                "stream_options", "is allowed only with stream: true", on("stream_options")
            )
        if (
            self.max_tokens is not None
            and self.max_completion_tokens is not None
            and self.max_tokens != self.max_completion_tokens
        ):
            raise PydanticCustomError(
                "max_tokens", "contradicts max_completion_tokens; give one", on("max_tokens")
            )
        return self


def _but(neutral: tuple[object, ...]) -> str:
    return f"; it may only be {' or '.join(map(as_json, neutral))}" if neutral else ""


def parse_chat_completion(body: bytes) -> ChatCompletionRequest:
    """Read a request's body.

    Raises:
        ApiError: It is not JSON, or not such a request; says what is wrong first. Or its model's
            name is one that no model has.

    """
    try:
        request = ChatCompletionRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_request(error) from None
    check_model_name(request.model)
    return request
