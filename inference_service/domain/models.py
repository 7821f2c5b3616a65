"""What a model is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class ModelKind(enum.Enum):
    """What a model does; see `ModelKind` in models.proto."""

    GENERATION = "generation"
    EMBEDDING = "embedding"
    RERANK = "rerank"


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
    kind: ModelKind | None = None


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
