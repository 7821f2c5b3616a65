"""What `/v1/models`, `/v1/health` and the routes of tokens answer."""

from __future__ import annotations

from typing import Literal

from rest_gateway.openapi.operation import Answer


class ModelDetails(Answer):
    """What this server knows of a model besides; clients of OpenAI's leave it alone.

    `last_use` is when the last request for it ended, as RFC 3339 has it. `failure` is for keys with
    the scope `models:write` only.
    """

    state: Literal["unloaded", "loading", "ready", "draining", "failed", "unknown"]
    stage: str | None
    failure: str | None
    failure_cause: (
        Literal[
            "invalid_files",
            "invalid_settings",
            "unsupported",
            "out_of_memory",
            "timeout",
            "worker_died",
            "conversion",
        ]
        | None
    )
    kind: Literal["generation", "embedding", "rerank"] | None
    version: str | None
    format: Literal["openvino_ir", "gguf", "onnx", "fake"] | None
    architecture: str | None
    precision: str | None
    size_bytes: int
    memory_bytes: int | None
    context_length: int | None
    aliases: list[str]
    adapters: list[str]
    pinned: bool
    reproducible: bool
    read_only: bool
    replicas: int
    ready_replicas: int
    idle_unload_seconds: float | None
    last_use: str | None


class Model(Answer):
    """A model, an alias, or a model with an adapter.

    `root` is the full name of the model that `id` stands for, and `parent`, of one with an adapter,
    the model that it adapts.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    max_model_len: int | None
    openvino_server: ModelDetails


class ModelList(Answer):
    """Models."""

    object: Literal["list"]
    data: list[Model]


class DeletedModel(Answer):
    """A model that was deleted."""

    id: str
    object: Literal["model"]
    deleted: Literal[True]


class WatchEvent(Answer):
    """A model as it is now, the end of those at the start, or the name of one that is gone."""

    type: Literal["model", "started", "removed"]
    model: Model | str | None = None


class Healthy(Answer):
    """Every model answers."""

    status: Literal["ok"]


class Unhealthy(Answer):
    """Why not every model answers, and the states of those that don't."""

    status: Literal["unavailable"]
    reason: str
    models: dict[str, str] | None = None


class Tokens(Answer):
    """The token ids of a text."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class Text(Answer):
    """The text of token ids, under vLLM's name and llama.cpp's."""

    prompt: str
    content: str
