from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from openvino_server.v1 import health_pb2, models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc import mapping


@pytest.mark.parametrize("state", domain.ModelState)
def test_models(state: domain.ModelState) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    model = mapping.model_to_proto(domain.ModelInfo("m", state, created))
    assert models_pb2.ModelState.Name(model.state) == f"MODEL_STATE_{state.name}"
    assert model.create_time.ToDatetime(UTC) == created
    for name in ("failure", "context_length", "architecture"):
        assert not model.HasField(name)
    full = domain.ModelInfo("m", state, created, "why", 9, "llama", reproducible=True)
    model = mapping.model_to_proto(full)
    assert (model.name, model.failure, model.context_length) == ("m", "why", 9)
    assert (model.architecture, model.reproducible) == ("llama", True)


def test_replicas() -> None:
    status = domain.ReplicaStatus(
        "m", 1, domain.ModelState.READY, 5, 2, 100, 200, 1.5, 0.25, restarts=3, memory_bytes=7
    )
    assert mapping.replica_to_proto(status) == health_pb2.ReplicaStatus(
        model="m",
        replica=1,
        state=models_pb2.MODEL_STATE_READY,
        pid=5,
        outstanding_requests=2,
        steps=100,
        generated_tokens=200,
        last_step_age={"seconds": 1, "nanos": 500_000_000},
        kv_cache_usage=0.25,
        restarts=3,
        memory_bytes=7,
    )
    idle = domain.ReplicaStatus("m", 0, domain.ModelState.LOADING, None, 0, 0, 0, None, 0.0, 0)
    replica = mapping.replica_to_proto(idle)
    assert not replica.HasField("pid")
    assert not replica.HasField("last_step_age")
    assert not replica.HasField("memory_bytes")


def test_kinds() -> None:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    for kind in domain.ModelKind:
        info = domain.ModelInfo("m", domain.ModelState.READY, created, kind=kind)
        name = models_pb2.ModelKind.Name(mapping.model_to_proto(info).kind)
        assert name == f"MODEL_KIND_{kind.name}"
    unknown = mapping.model_to_proto(domain.ModelInfo("m", domain.ModelState.FAILED, created))
    assert unknown.kind == models_pb2.MODEL_KIND_UNSPECIFIED


def test_what_is_known_of_a_model() -> None:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    info = domain.ModelInfo(
        "m@2",
        domain.ModelState.FAILED,
        created,
        version="2",
        format=domain.ModelFormat.GGUF,
        precision="q4_k_m",
        size_bytes=1 << 40,
        memory_bytes=5,
        aliases=("gpt", "m"),
        pinned=True,
        replicas=3,
        ready_replicas=2,
        failure_cause=domain.LoadFailureCause.TIMEOUT,
        last_use=created,
        idle_unload_seconds=1.5,
        adapters=("a", "b"),
        read_only=True,
        stage="reading weights",
    )
    assert mapping.model_to_proto(info) == models_pb2.Model(
        name="m@2",
        state=models_pb2.MODEL_STATE_FAILED,
        create_time=created,
        version="2",
        format=models_pb2.MODEL_FORMAT_GGUF,
        precision="q4_k_m",
        size_bytes=1 << 40,
        memory_bytes=5,
        aliases=["gpt", "m"],
        pinned=True,
        replicas=3,
        ready_replicas=2,
        failure_cause=models_pb2.LOAD_FAILURE_CAUSE_TIMEOUT,
        last_use_time=created,
        idle_unload={"seconds": 1, "nanos": 500_000_000},
        adapters=["a", "b"],
        read_only=True,
        stage="reading weights",
    )
    least = mapping.model_to_proto(domain.ModelInfo("m", domain.ModelState.UNLOADED, created))
    for name in ("version", "precision", "memory_bytes", "stage", "last_use_time", "idle_unload"):
        assert not least.HasField(name)


@pytest.mark.parametrize("kind", [domain.ModelFormat, domain.LoadFailureCause])
def test_enumerations_are_whole(kind: Any) -> None:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    attribute = {"ModelFormat": "format", "LoadFailureCause": "failure_cause"}[kind.__name__]
    prefix = {"ModelFormat": "MODEL_FORMAT", "LoadFailureCause": "LOAD_FAILURE_CAUSE"}
    values = getattr(models_pb2, kind.__name__)
    told = set()
    for value in kind:
        info = domain.ModelInfo("m", domain.ModelState.FAILED, created, **{attribute: value})
        number = getattr(mapping.model_to_proto(info), attribute)
        assert values.Name(number) == f"{prefix[kind.__name__]}_{value.name}"
        told.add(number)
    assert told | {0} == set(values.values())


def test_watch() -> None:
    request = models_pb2.WatchModelsRequest
    assert mapping.watched_names_from_proto(request()) == frozenset()
    assert mapping.watched_names_from_proto(request(names=["a", "b", "a"])) == {"a", "b"}
    for names, field in ((["a", ""], "names[1]"), (["x"] * 1025, "names")):
        with pytest.raises(InvalidArgument) as caught:
            mapping.watched_names_from_proto(request(names=names))
        assert caught.value.metadata == {"field": field}


def test_memory() -> None:
    told = mapping.memory_to_proto(domain.MemoryStatus(None, 1, 2))
    assert not told.HasField("budget_bytes")
    assert (told.used_bytes, told.reserved_bytes) == (1, 2)
