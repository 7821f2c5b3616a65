from __future__ import annotations

from datetime import UTC, datetime

import pytest
from openvino_server.v1 import health_pb2, models_pb2

from inference_service import domain
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
        "m", 1, domain.ModelState.READY, 5, 2, 100, 200, 1.5, 0.25, restarts=3
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
    )
    idle = domain.ReplicaStatus("m", 0, domain.ModelState.LOADING, None, 0, 0, 0, None, 0.0, 0)
    replica = mapping.replica_to_proto(idle)
    assert not replica.HasField("pid")
    assert not replica.HasField("last_step_age")


def test_kinds() -> None:
    created = datetime(2026, 1, 2, tzinfo=UTC)
    for kind in domain.ModelKind:
        info = domain.ModelInfo("m", domain.ModelState.READY, created, kind=kind)
        name = models_pb2.ModelKind.Name(mapping.model_to_proto(info).kind)
        assert name == f"MODEL_KIND_{kind.name}"
    unknown = mapping.model_to_proto(domain.ModelInfo("m", domain.ModelState.FAILED, created))
    assert unknown.kind == models_pb2.MODEL_KIND_UNSPECIFIED
