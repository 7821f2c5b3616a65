"""Models and their workers."""

from __future__ import annotations

from openvino_server.v1 import health_pb2, models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument

MAX_MODEL_NAME = 256
MAX_WATCHED = 1024

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
_FORMATS = {
    None: models_pb2.MODEL_FORMAT_UNSPECIFIED,
    domain.ModelFormat.OPENVINO_IR: models_pb2.MODEL_FORMAT_OPENVINO_IR,
    domain.ModelFormat.GGUF: models_pb2.MODEL_FORMAT_GGUF,
    domain.ModelFormat.ONNX: models_pb2.MODEL_FORMAT_ONNX,
    domain.ModelFormat.FAKE: models_pb2.MODEL_FORMAT_FAKE,
}
_CAUSES = {
    None: models_pb2.LOAD_FAILURE_CAUSE_UNSPECIFIED,
    domain.LoadFailureCause.INVALID_FILES: models_pb2.LOAD_FAILURE_CAUSE_INVALID_FILES,
    domain.LoadFailureCause.INVALID_SETTINGS: models_pb2.LOAD_FAILURE_CAUSE_INVALID_SETTINGS,
    domain.LoadFailureCause.UNSUPPORTED: models_pb2.LOAD_FAILURE_CAUSE_UNSUPPORTED,
    domain.LoadFailureCause.OUT_OF_MEMORY: models_pb2.LOAD_FAILURE_CAUSE_OUT_OF_MEMORY,
    domain.LoadFailureCause.TIMEOUT: models_pb2.LOAD_FAILURE_CAUSE_TIMEOUT,
    domain.LoadFailureCause.WORKER_DIED: models_pb2.LOAD_FAILURE_CAUSE_WORKER_DIED,
    domain.LoadFailureCause.CONVERSION: models_pb2.LOAD_FAILURE_CAUSE_CONVERSION,
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


def watched_names_from_proto(request: models_pb2.WatchModelsRequest) -> frozenset[str]:
    """Check which models are to be watched; none is all.

    Raises:
        InvalidArgument: There are too many, or one has no name.

    """
    if len(request.names) > MAX_WATCHED:
        raise InvalidArgument("names", f"at most {MAX_WATCHED} are allowed")
    return frozenset(
        model_name_from_proto(name, f"names[{index}]") for index, name in enumerate(request.names)
    )


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
        version=info.version,
        format=_FORMATS[info.format],
        precision=info.precision,
        size_bytes=info.size_bytes,
        memory_bytes=info.memory_bytes,
        aliases=info.aliases,
        pinned=info.pinned,
        replicas=info.replicas,
        ready_replicas=info.ready_replicas,
        failure_cause=_CAUSES[info.failure_cause],
        adapters=info.adapters,
        read_only=info.read_only,
        stage=info.stage,
    )
    model.create_time.FromDatetime(info.created)
    if info.last_use is not None:
        model.last_use_time.FromDatetime(info.last_use)
    if info.idle_unload_seconds is not None:
        model.idle_unload.FromNanoseconds(int(info.idle_unload_seconds * 1e9))
    return model


def watch_event_to_proto(event: domain.WatchEvent) -> models_pb2.WatchModelsResponse:
    """Convert what a watch tells."""
    match event:
        case domain.ModelInfo():
            return models_pb2.WatchModelsResponse(model=model_to_proto(event))
        case domain.ModelRemoved():
            return models_pb2.WatchModelsResponse(removed_name=event.name)
        case domain.WatchStarted():
            return models_pb2.WatchModelsResponse(started=True)


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
        memory_bytes=status.memory_bytes,
    )
    if status.last_step_age_seconds is not None:
        replica.last_step_age.FromNanoseconds(int(status.last_step_age_seconds * 1e9))
    return replica


def memory_to_proto(status: domain.MemoryStatus) -> health_pb2.MemoryStatus:
    """Convert what the workers' memory adds up to."""
    return health_pb2.MemoryStatus(
        budget_bytes=status.budget_bytes,
        used_bytes=status.used_bytes,
        reserved_bytes=status.reserved_bytes,
    )
