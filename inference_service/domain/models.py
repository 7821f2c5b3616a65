"""What a model is."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias


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


class ModelFormat(enum.Enum):
    """What a model's files are; see `ModelFormat` in models.proto."""

    OPENVINO_IR = "openvino_ir"
    GGUF = "gguf"
    ONNX = "onnx"
    FAKE = "fake"


class LoadFailureCause(enum.Enum):
    """Why a model could not be loaded; see `LoadFailureCause` in models.proto."""

    INVALID_FILES = "invalid_files"
    INVALID_SETTINGS = "invalid_settings"
    UNSUPPORTED = "unsupported"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    WORKER_DIED = "worker_died"
    CONVERSION = "conversion"


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a model could not be loaded: for programs, and in a line for its operator."""

    cause: LoadFailureCause
    message: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the outside sees it; see `Model` in models.proto.

    `context_length` is in tokens. `idle_unload_seconds` is how long it stays loaded without a
    request; `None` is for ever. `last_use` is when the last request for it ended.
    """

    name: str
    state: ModelState
    created: datetime
    failure: str | None = None
    context_length: int | None = None
    architecture: str | None = None
    reproducible: bool = False
    kind: ModelKind | None = None
    version: str | None = None
    format: ModelFormat | None = None
    precision: str | None = None
    size_bytes: int = 0
    memory_bytes: int | None = None
    aliases: tuple[str, ...] = ()
    pinned: bool = False
    replicas: int = 1
    ready_replicas: int = 0
    failure_cause: LoadFailureCause | None = None
    last_use: datetime | None = None
    idle_unload_seconds: float | None = None
    adapters: tuple[str, ...] = ()
    read_only: bool = False
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRemoved:
    """A model is gone from the repository."""

    name: str


@dataclass(frozen=True, slots=True)
class WatchStarted:
    """All models have been told as they were; what follows are changes."""


WatchEvent: TypeAlias = ModelInfo | ModelRemoved | WatchStarted


@dataclass(frozen=True, slots=True)
class WeightCompression:
    """How weights are to be stored; `group_size` is of 4-bit formats, weights to a scale."""

    format: Literal["int8", "int4_sym", "int4_asym"]
    group_size: int | None = None


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What is to be fetched; see `PullModelRequest` in models.proto.

    `sha256` has pairs of a path at the source and a digest in hexadecimal, sorted.
    """

    source: str
    name: str | None = None
    revision: str | None = None
    allow_patterns: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    companions: str | None = None
    sha256: tuple[tuple[str, str], ...] = ()
    compression: WeightCompression | None = None


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a fetch has come: what happens now, for people, and the bytes where they are told."""

    stage: str
    completed_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryStatus:
    """What the memory of all workers adds up to; `budget_bytes` is `None` where none is set."""

    budget_bytes: int | None
    used_bytes: int
    reserved_bytes: int


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
    memory_bytes: int | None = None
