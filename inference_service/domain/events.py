"""What happens to a request."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FinishReason(enum.Enum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, its bytes, and the natural logarithm of its probability."""

    token_id: int
    token: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Started:
    """The engine accepted the request, whose prompt has this many tokens.

    `cached_tokens` of them come from the prefix cache; `None` is not known.
    """

    prompt_tokens: int
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text to append to the completion `index`; whole characters.

    `tokens` counts those generated since the last delta; `logprobs` has each, if asked for.
    """

    index: int
    text: str
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """Reasoning text to append to the completion `index`; otherwise as `TextDelta`."""

    index: int
    text: str
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call `call_index` of the completion `index`.

    The first piece of a call has its `id` and `name`; `arguments` is a piece of JSON.
    """

    index: int
    call_index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The completion `index` ended; counts are in tokens."""

    index: int
    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    matched_stop: str | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int = 0


Event = Started | TextDelta | ReasoningDelta | ToolCallDelta | Finished
