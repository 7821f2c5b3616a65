"""Models as OpenAI writes them, what is known of them besides, and names that no model has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from openvino_server.v1 import models_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.strict import StrictModel

MAX_MODEL_NAME = 256  # characters; no model has such a name, and gRPC bounds what errors hold
EXTENSION = "openvino_server"
_OWNER = "openvino-server"
_ADAPTER = ":"


class ModelsQuery(StrictModel):
    """The query of `GET /v1/models`."""

    state: Literal["available", "all"] = "available"


def model_to_openai(
    model: models_pb2.Model, name: str | None = None, *, tell_causes: bool
) -> dict[str, Any]:
    """Write a model as OpenAI does.

    `max_model_len`, `root` and `parent` are vLLM's: the length of its context; the model that a
    name stands for; and of an adapter, the model that it adapts. What this server knows besides is
    in an object of its own, which clients of OpenAI's leave alone.

    Args:
        model: The model.
        name: The name of its that this is about: an alias, or one with an adapter. None: its own.
        tell_causes: Whether the client may know why it could not be loaded, with paths of the
            server's.

    """
    name = name or model.name
    is_adapter = adapter_of(model, name) is not None
    return {
        "id": name,
        "object": "model",
        "created": model.create_time.seconds,
        "owned_by": _OWNER,
        "root": model.name,
        "parent": model.name if is_adapter else None,
        "max_model_len": model.context_length or None,
        EXTENSION: _extension(model, tell_causes=tell_causes),
    }


def list_to_openai(
    models: Iterable[models_pb2.Model], *, tell_causes: bool
) -> Iterator[dict[str, Any]]:
    """Write models, each followed by its aliases and its adapters; no name comes twice."""
    models = list(models)
    written = {model.name for model in models}  # where an alias is as a name, the name counts
    for model in models:
        yield model_to_openai(model, tell_causes=tell_causes)
        others = [*model.aliases, *(f"{model.name}{_ADAPTER}{name}" for name in model.adapters)]
        for name in others:
            if name not in written:
                written.add(name)
                yield model_to_openai(model, name, tell_causes=tell_causes)


def adapter_of(model: models_pb2.Model, name: str) -> str | None:
    """Tell which adapter of a model's a name chooses; None: none."""
    base, colon, adapter = name.rpartition(_ADAPTER)
    known = colon and adapter in model.adapters and base in {model.name, *model.aliases}
    return adapter if known else None


def without_adapter(name: str) -> str | None:
    """Give what may be a model's name before an adapter's; None: there is no adapter in it."""
    base, _, adapter = name.rpartition(_ADAPTER)
    return base if base and adapter else None


def is_ready(model: models_pb2.Model) -> bool:
    """Say whether a model answers now."""
    return model.state == models_pb2.MODEL_STATE_READY


def is_expected(model: models_pb2.Model) -> bool:
    """Say whether a model answers or was to: one that is not loaded is so by someone's wish."""
    return model.state not in (
        models_pb2.MODEL_STATE_UNLOADED,
        models_pb2.MODEL_STATE_DRAINING,
    )


def state_of(model: models_pb2.Model) -> str:
    """Name a model's state for people: `loading`."""
    return _word(models_pb2.ModelState, model.state, "MODEL_STATE_") or "unknown"


def check_model_name(name: str) -> None:
    """Tell names that no model has, without a call of the service.

    Raises:
        ApiError: It is empty, or longer than 256 characters.

    """
    if not 0 < len(name) <= MAX_MODEL_NAME:
        raise errors.model_not_found(name)


def _extension(model: models_pb2.Model, *, tell_causes: bool) -> dict[str, Any]:
    def known(field: str) -> Any:
        return getattr(model, field) if model.HasField(field) else None  # type: ignore[arg-type]

    idle = model.idle_unload
    return {
        "state": state_of(model),
        "stage": known("stage"),
        "failure": known("failure") if tell_causes else None,
        "failure_cause": _word(
            models_pb2.LoadFailureCause, model.failure_cause, "LOAD_FAILURE_CAUSE_"
        ),
        "kind": _word(models_pb2.ModelKind, model.kind, "MODEL_KIND_"),
        "version": known("version"),
        "format": _word(models_pb2.ModelFormat, model.format, "MODEL_FORMAT_"),
        "architecture": known("architecture"),
        "precision": known("precision"),
        "size_bytes": model.size_bytes,
        "memory_bytes": known("memory_bytes"),
        "context_length": known("context_length"),
        "aliases": list(model.aliases),
        "adapters": list(model.adapters),
        "pinned": model.pinned,
        "reproducible": model.reproducible,
        "read_only": model.read_only,
        "replicas": model.replicas,
        "ready_replicas": model.ready_replicas,
        "idle_unload_seconds": (
            idle.seconds + idle.nanos / 1e9 if model.HasField("idle_unload") else None
        ),
        "last_use": (
            model.last_use_time.ToJsonString() if model.HasField("last_use_time") else None
        ),
    }


def _word(enumeration: Any, number: int, prefix: str) -> str | None:
    """Name a value in lower case; None for none, or one of a later version of the service."""
    if not number or number not in enumeration.values():
        return None
    return str(enumeration.Name(number)).removeprefix(prefix).lower()
