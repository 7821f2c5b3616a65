"""The requests that clients of OpenAI's API send, checked.

Source: https://platform.openai.com/docs/api-reference/chat/create. Types are strict: a string is no
number, and neither is a boolean. What a model here can't do is refused by name, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from rest_gateway.openai.errors import ApiError

UINT32_MAX = 2**32 - 1
UNSUPPORTED = "unsupported_parameter"

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


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class TextPart(_Strict):
    """A piece of a message's content."""

    type: str
    text: str

    @field_validator("type")
    @classmethod
    def _type_is_text(cls, value: str) -> str:
        if value != "text":
            raise PydanticCustomError(
                UNSUPPORTED,
                "content parts of type {type} are not supported; only 'text' is",
                {"type": repr(value)},
            )
        return value


class FunctionCall(_Strict):
    """The function that a tool call names, and its arguments as JSON."""

    name: str = Field(min_length=1)
    arguments: str


class ToolCall(_Strict):
    """A call that the assistant made earlier in the conversation."""

    id: str = Field(min_length=1)
    type: Literal["function"]
    function: FunctionCall


def _kind_of_content(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<parts>" if isinstance(value, list) else None


# The tags are in angle brackets so that `_path` can leave them out of parameters' names.
Content = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[TextPart], Field(min_length=1), Tag("<parts>")],
    Discriminator(
        _kind_of_content,
        custom_error_type="content_type",
        custom_error_message="must be a string or a list of text parts",
    ),
]


class Message(_Strict):
    """One turn of a conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    # What the answers of OpenAI's API hold, and so comes back with the next turn.
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: list[Any] | None = Field(None, max_length=0)

    @model_validator(mode="after")
    def _fields_fit_role(self) -> Self:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise PydanticCustomError("missing_content", "a message of this role needs content")
        if self.tool_calls and self.role != "assistant":
            raise PydanticCustomError("tool_calls", "only an assistant message has tool_calls")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise PydanticCustomError(
                "tool_call_id", "a tool message, and no other, has a tool_call_id"
            )
        return self


class StreamOptions(_Strict):
    """What a stream holds besides the completion."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class ChatCompletionRequest(_Strict):
    """The body of `POST /v1/chat/completions`.

    `prompt` is not in OpenAI's API: it is short for one message of the user.
    """

    model: str = Field(min_length=1)
    messages: list[Message] | None = Field(None, min_length=1)
    prompt: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    presence_penalty: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    max_completion_tokens: int | None = Field(None, ge=1, le=UINT32_MAX)
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
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
                    "{param} is not supported{but}",
                    {"param": name, "but": _but(NEUTRAL[name])},
                )
        return {name: value for name, value in data.items() if name not in NEUTRAL}

    @field_validator("stop", mode="before")
    @classmethod
    def _stop_is_texts(cls, value: object) -> object:
        texts = [value] if isinstance(value, str) else value
        if texts is None:
            return None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise PydanticCustomError("stop", "must be a string or a list of strings")
        if len(texts) > 4:
            raise PydanticCustomError("stop", "must have at most 4 strings")
        if not all(texts):
            raise PydanticCustomError("stop", "must not be or contain an empty string")
        return texts

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if (self.messages is None) == (self.prompt is None):
            which = "missing" if self.messages is None else "both given"
            raise PydanticCustomError(
                "messages", "give either messages or prompt: {which}", _on("messages", which)
            )
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError(
                "stream_options", "is allowed only with stream: true", _on("stream_options")
            )
        if (
            self.max_tokens is not None
            and self.max_completion_tokens is not None
            and self.max_tokens != self.max_completion_tokens
        ):
            raise PydanticCustomError(
                "max_tokens", "contradicts max_completion_tokens; give one", _on("max_tokens")
            )
        return self


def _on(param: str, which: str = "") -> dict[str, Any]:
    return {"param": param, "which": which}


def _but(neutral: tuple[object, ...]) -> str:
    return f"; it may only be {' or '.join(map(repr, neutral))}" if neutral else ""


def parse_chat_completion(body: bytes) -> ChatCompletionRequest:
    """Read a request's body.

    Raises:
        ApiError: It is not JSON, or not such a request; says what is wrong first.

    """
    try:
        return ChatCompletionRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise _api_error(found[0]) from None


def _api_error(problem: ErrorDetails) -> ApiError:
    kind, message = problem["type"], problem["msg"]
    context = problem.get("ctx", {})
    param = _path(problem["loc"]) or context.get("param")
    if kind == "json_invalid":
        return ApiError(
            400,
            f"The request's body is not valid JSON: {context['error']}",
            code="invalid_json",
            reason="invalid_json",
        )
    if kind == "extra_forbidden":
        text, code = f"Unrecognized request argument supplied: {param}", "unknown_parameter"
    elif kind == "missing":
        text, code = f"Missing required parameter: '{param}'.", "missing_required_parameter"
    elif kind == UNSUPPORTED:
        text, code = f"Unsupported parameter: '{param}': {message}.", UNSUPPORTED
    elif param is None:
        text, code = "The request's body must be a JSON object.", "invalid_type"
    else:
        text = f"Invalid value for '{param}': {message[0].lower()}{message[1:]}."
        code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    return ApiError(400, text, code=code, param=param, reason=code)


def _path(location: tuple[int | str, ...]) -> str | None:
    """Write a location as OpenAI does: `messages[0].content`."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("<"):
            path += f".{step}" if path else step
    return path or None
