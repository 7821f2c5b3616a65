"""Models and their workers."""

from __future__ import annotations

from openvino_server.v1 import health_pb2, models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument

MAX_MODEL_NAME = 256

_STATES = {
    domain.ModelState.UNLOADED: models_pb2.MODEL_STATE_UNLOADED,
    domain.ModelState.LOADING: models_pb2.MODEL_STATE_LOADING,
    domain.ModelState.READY: models_pb2.MODEL_STATE_READY,
    domain.ModelState.DRAINING: models_pb2.MODEL_STATE_DRAINING,
    domain.ModelState.FAILED: models_pb2.MODEL_STATE_FAILED,
}
_KINDS = {
    None: models_pb2.MODEL_KIND_UNSPECIFIED,
    domain.ModelKind.GENERATION: models_pb2.MODEL_KIND_GENERATION,
    domain.ModelKind.EMBEDDING: models_pb2.MODEL_KIND_EMBEDDING,
    domain.ModelKind.RERANK: models_pb2.MODEL_KIND_RERANK,
}


def model_name_from_proto(name: str, field: str = "model") -> str:
    """Check that a model is named.

    Raises:
        InvalidArgument: It isn't.

    """
    if not name:
        raise InvalidArgument(field, "is required")
    if len(name) > MAX_MODEL_NAME:
        raise InvalidArgument(field, f"is longer than {MAX_MODEL_NAME} characters")
    return name


def model_to_proto(info: domain.ModelInfo) -> models_pb2.Model:
    """Convert a model."""
    model = models_pb2.Model(
        name=info.name,
        state=_STATES[info.state],
        failure=info.failure,
        context_length=info.context_length,
        architecture=info.architecture,
        reproducible=info.reproducible,
        kind=_KINDS[info.kind],
    )
    model.create_time.FromDatetime(info.created)
    return model


def replica_to_proto(status: domain.ReplicaStatus) -> health_pb2.ReplicaStatus:
    """Convert the state of a worker."""
    replica = health_pb2.ReplicaStatus(
        model=status.model,
        replica=status.replica,
        state=_STATES[status.state],
        pid=status.pid,
        outstanding_requests=status.outstanding_requests,
        steps=status.steps,
        generated_tokens=status.generated_tokens,
        kv_cache_usage=status.kv_cache_usage,
        restarts=status.restarts,
    )
    if status.last_step_age_seconds is not None:
        replica.last_step_age.FromNanoseconds(int(status.last_step_age_seconds * 1e9))
    return replica
