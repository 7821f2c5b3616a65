from datetime import UTC, datetime
from typing import Any

import pytest
from openvino_server.v1 import models_pb2

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.models import (
    check_model_name,
    is_expected,
    model_to_openai,
    state_of,
    without_adapter,
)
from rest_gateway.openapi.answers import models as answers

FULL = models_pb2.Model(
    name="a/b@2",
    state=models_pb2.MODEL_STATE_FAILED,
    failure="/srv/x: broken",
    create_time=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    context_length=4096,
    architecture="llama",
    reproducible=True,
    kind=models_pb2.MODEL_KIND_GENERATION,
    version="2",
    format=models_pb2.MODEL_FORMAT_OPENVINO_IR,
    precision="int8",
    size_bytes=1 << 40,
    memory_bytes=5,
    aliases=["a/b", "gpt"],
    pinned=True,
    replicas=2,
    ready_replicas=1,
    failure_cause=models_pb2.LOAD_FAILURE_CAUSE_WORKER_DIED,
    last_use_time=datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC),
    idle_unload={"seconds": 90, "nanos": 500_000_000},
    adapters=["sql"],
    read_only=True,
    stage="reading",
)


def test_all_that_is_known() -> None:
    written = model_to_openai(FULL, tell_causes=True)
    assert written == {
        "id": "a/b@2",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "openvino-server",
        "root": "a/b@2",
        "parent": None,
        "max_model_len": 4096,
        "openvino_server": {
            "state": "failed",
            "stage": "reading",
            "failure": "/srv/x: broken",
            "failure_cause": "worker_died",
            "kind": "generation",
            "version": "2",
            "format": "openvino_ir",
            "architecture": "llama",
            "precision": "int8",
            "size_bytes": 1 << 40,
            "memory_bytes": 5,
            "context_length": 4096,
            "aliases": ["a/b", "gpt"],
            "adapters": ["sql"],
            "pinned": True,
            "reproducible": True,
            "read_only": True,
            "replicas": 2,
            "ready_replicas": 1,
            "idle_unload_seconds": 90.5,
            "last_use": "2026-01-02T03:04:05.600Z",
        },
    }
    answers.Model.model_validate(written, strict=True)


def test_least_that_is_known() -> None:
    model = models_pb2.Model(name="m", state=models_pb2.MODEL_STATE_UNLOADED)
    details = model_to_openai(model, tell_causes=True)["openvino_server"]
    unknown = {name for name, value in details.items() if value is None}
    assert unknown == {
        "stage",
        "failure",
        "failure_cause",
        "kind",
        "version",
        "format",
        "architecture",
        "precision",
        "memory_bytes",
        "context_length",
        "idle_unload_seconds",
        "last_use",
    }


def test_no_idle_time_is_not_unset() -> None:
    model = models_pb2.Model(name="m", idle_unload={})
    details = model_to_openai(model, tell_causes=False)["openvino_server"]
    assert details["idle_unload_seconds"] == 0


@pytest.mark.parametrize(
    ("enumeration", "field", "prefix"),
    [
        (models_pb2.ModelState, "state", "MODEL_STATE_"),
        (models_pb2.ModelKind, "kind", "MODEL_KIND_"),
        (models_pb2.ModelFormat, "format", "MODEL_FORMAT_"),
        (models_pb2.LoadFailureCause, "failure_cause", "LOAD_FAILURE_CAUSE_"),
    ],
)
def test_every_value_is_of_the_document(enumeration: Any, field: str, prefix: str) -> None:
    for name, number in enumeration.items():
        written = model_to_openai(models_pb2.Model(name="m", **{field: number}), tell_causes=True)
        answers.Model.model_validate(written, strict=True)
        if number:
            assert written["openvino_server"][field] == name.removeprefix(prefix).lower()
    # Of a later version of the service.
    later = models_pb2.Model(name="m", **{field: 99})
    answers.Model.model_validate(model_to_openai(later, tell_causes=True), strict=True)


def test_states_for_people() -> None:
    assert state_of(models_pb2.Model(state=models_pb2.MODEL_STATE_LOADING)) == "loading"
    expected = {
        name
        for name, number in models_pb2.ModelState.items()
        if number and is_expected(models_pb2.Model(state=number))
    }
    assert expected == {"MODEL_STATE_LOADING", "MODEL_STATE_READY", "MODEL_STATE_FAILED"}


@pytest.mark.parametrize(
    ("name", "base"),
    [("m:a", "m"), ("o/m@1:a", "o/m@1"), ("a:b:c", "a:b"), ("m", None), ("m:", None), (":a", None)],
)
def test_names_with_an_adapter(name: str, base: str | None) -> None:
    assert without_adapter(name) == base


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_names_that_no_model_has(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_model_name(name)
    assert caught.value.code == "model_not_found"
