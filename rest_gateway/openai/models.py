"""Models as OpenAI writes them, and the names that no model has."""

from __future__ import annotations

from typing import Any

from openvino_server.v1 import models_pb2

from rest_gateway.openai import errors

MAX_MODEL_NAME = 256  # characters; no model has such a name, and gRPC bounds what errors hold
_OWNER = "openvino-server"


def model_to_openai(model: models_pb2.Model) -> dict[str, Any]:
    """Write a model as OpenAI does, with the length of its context by vLLM's name."""
    return {
        "id": model.name,
        "object": "model",
        "created": model.create_time.seconds,
        "owned_by": _OWNER,
        "max_model_len": model.context_length or None,
    }


def is_ready(model: models_pb2.Model) -> bool:
    """Say whether a model answers now."""
    return model.state == models_pb2.MODEL_STATE_READY


def state_of(model: models_pb2.Model) -> str:
    """Name a model's state for people: `loading`."""
    return models_pb2.ModelState.Name(model.state).removeprefix("MODEL_STATE_").lower()


def check_model_name(name: str) -> None:
    """Tell names that no model has, without a call of the service.

    Raises:
        ApiError: It is empty, or longer than 256 characters.

    """
    if not 0 < len(name) <= MAX_MODEL_NAME:
        raise errors.model_not_found(name)
