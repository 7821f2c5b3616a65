"""The service's own types: what a request asks, what happens to it, what a model is.

No protobuf, no engine, no JSON: `rpc.mapping` and `engine` convert to and from these.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime


class Role(enum.Enum):
    """Who speaks in a conversation; the values are what chat templates call them."""

    DEVELOPER = "developer"
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `parts` are texts, in order."""

    role: Role
    parts: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ChatInput:
    """A conversation, oldest message first."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class PromptInput:
    """Text given to the model as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenIdsInput:
    """Token ids given to the model as they are."""

    ids: tuple[int, ...]


Input = ChatInput | PromptInput | TokenIdsInput


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen and when generation stops.

    `None` is "the model's default"; the ranges are those of `SamplingParams` in inference.proto.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request for a completion."""

    model: str
    input: Input
    sampling: SamplingParams = field(default_factory=SamplingParams)


class FinishReason(enum.Enum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Started:
    """The engine accepted the request, whose prompt has this many tokens."""

    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text to append to the completion `index`; whole characters."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The completion `index` ended; counts are in tokens."""

    index: int
    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    matched_stop: str | None = None


Event = Started | TextDelta | Finished


class ModelState(enum.Enum):
    """Whether a model can answer; see `ModelState` in models.proto."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the outside sees it; `context_length` is in tokens."""

    name: str
    state: ModelState
    created: datetime
    failure: str | None = None
    context_length: int | None = None
    architecture: str | None = None
    reproducible: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """An engine worker as the outside sees it; counters are since the worker's start."""

    model: str
    replica: int
    state: ModelState
    pid: int | None
    outstanding_requests: int
    steps: int
    generated_tokens: int
    last_step_age_seconds: float | None
    kv_cache_usage: float
    restarts: int
