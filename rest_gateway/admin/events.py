"""What becomes of models, as JSON: objects of models as in `/v1/models`, and steps on the way."""

from __future__ import annotations

from typing import Any

import msgspec
from openvino_server.v1 import models_pb2

from rest_gateway.openai import errors, sse
from rest_gateway.openai.models import model_to_openai

_json = msgspec.json.Encoder().encode


def model_body(model: models_pb2.Model) -> bytes:
    """Write a model, with the cause of a failure: who may change models may know it."""
    return _json(_model(model))


def pulled_body(step: models_pb2.PullModelResponse) -> bytes:
    """Write the model that the last step of a fetch has.

    Raises:
        ApiError: It has none.

    """
    if not step.HasField("model"):
        raise errors.broken_stream("the end of a pull without a model")
    return model_body(step.model)


def deleted_body(name: str) -> bytes:
    """Say that a model was deleted, as OpenAI does."""
    return _json({"id": name, "object": "model", "deleted": True})


def load_event(change: models_pb2.LoadModelResponse) -> bytes:
    """Write a change of a model that is loaded as an event."""
    return sse.frames([model_body(change.model)])


def pull_event(step: models_pb2.PullModelResponse) -> bytes:
    """Write a step of a fetch as an event; the last is the model itself."""
    if step.HasField("model"):
        return sse.frames([model_body(step.model)])
    progress = {
        "object": "model.pull",
        "stage": step.stage,
        "completed_bytes": step.completed_bytes,
        "total_bytes": step.total_bytes if step.HasField("total_bytes") else None,
    }
    return sse.frames([_json(progress)])


def watch_event(told: models_pb2.WatchModelsResponse) -> bytes:
    """Write what a watch tells as an event.

    Raises:
        ApiError: It tells nothing.

    """
    event: dict[str, Any]
    if told.HasField("model"):
        event = {"type": "model", "model": _model(told.model)}
    elif told.HasField("removed_name"):
        event = {"type": "removed", "model": told.removed_name}
    elif told.started:
        event = {"type": "started"}
    else:
        raise errors.broken_stream("a change without a model")
    return sse.frames([_json(event)])


def _model(model: models_pb2.Model) -> dict[str, Any]:
    return model_to_openai(model, tell_causes=True)
