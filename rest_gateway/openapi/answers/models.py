"""What `/v1/models`, `/v1/health` and the routes of tokens answer."""

from __future__ import annotations

from typing import Literal

from rest_gateway.openapi.operation import Answer


class Model(Answer):
    """A model that answers now."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int | None


class ModelList(Answer):
    """The models that answer now."""

    object: Literal["list"]
    data: list[Model]


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
