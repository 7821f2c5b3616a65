"""Pulls, in front of a service whose answers the test writes."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from openvino_server.v1 import models_pb2

PULL = "/v1/admin/models/pull"


@pytest.fixture
def key(admin_key: str) -> str:
    """The key that the clients here have."""
    return admin_key


def step(stage: str, completed: int, total: int | None = None) -> models_pb2.PullModelResponse:
    return models_pb2.PullModelResponse(stage=stage, completed_bytes=completed, total_bytes=total)


PULLED = models_pb2.PullModelResponse(
    stage="done", model=models_pb2.Model(name="m", state=models_pb2.MODEL_STATE_UNLOADED)
)


async def test_pull_waits_until_it_is_there(client: httpx.AsyncClient, service: Any) -> None:
    service.script = [step("looking", 0), step("fetching", 5, 9), PULLED]
    response = await client.post(
        PULL,
        json={
            "source": "hf:a/b",
            "name": "b",
            "revision": "main",
            "allow_patterns": ["*.xml"],
            "token": "hf_secret",
            "companions": "pypi:x==1",
            "sha256": {"b.bin": "0" * 64},
            "compression": {"format": "int4_sym", "group_size": 64},
        },
    )
    assert response.status_code == 200
    assert response.json()["openvino_server"]["state"] == "unloaded"
    assert service.requests == [
        models_pb2.PullModelRequest(
            source="hf:a/b",
            name="b",
            revision="main",
            allow_patterns=["*.xml"],
            token="hf_secret",
            companions="pypi:x==1",
            sha256={"b.bin": "0" * 64},
            compression={"format": models_pb2.WEIGHT_FORMAT_INT4_SYM, "group_size": 64},
        )
    ]


async def test_pull_streams_its_progress(
    events_of: Any, client: httpx.AsyncClient, service: Any
) -> None:
    service.script = [step("looking", 0), step("fetching", 5, 9), PULLED]
    response = await client.post(PULL, json={"source": "hf:a/b", "stream": True})
    looking, fetching, last, done = events_of(response.text)
    assert looking == {
        "object": "model.pull",
        "stage": "looking",
        "completed_bytes": 0,
        "total_bytes": None,
    }
    assert (fetching["completed_bytes"], fetching["total_bytes"]) == (5, 9)
    assert (last["object"], last["id"], done) == ("model", "m", "[DONE]")


async def test_pull_that_ends_without_a_model(client: httpx.AsyncClient, service: Any) -> None:
    for script in ([], [step("fetching", 5)]):
        service.script = script
        response = await client.post(PULL, json={"source": "hf:a/b"})
        assert response.status_code == 502
        assert response.json()["error"]["code"] == "bad_gateway"


@pytest.mark.parametrize(
    ("reason", "code", "status"),
    [
        ("MODEL_EXISTS", grpc.StatusCode.ALREADY_EXISTS, 409),
        ("SOURCE_NOT_FOUND", grpc.StatusCode.NOT_FOUND, 404),
        ("SOURCE_UNREACHABLE", grpc.StatusCode.UNAVAILABLE, 502),
        ("SOURCE_REFUSED", grpc.StatusCode.FAILED_PRECONDITION, 400),
        ("SOURCE_NOT_ALLOWED", grpc.StatusCode.PERMISSION_DENIED, 403),
        ("DISK_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED, 507),
    ],
)
async def test_pulls_that_fail(
    client: httpx.AsyncClient,
    service: Any,
    failure: Any,
    reason: str,
    code: grpc.StatusCode,
    status: int,
) -> None:
    service.script = [failure(code, "why it failed", reason)]
    response = await client.post(PULL, json={"source": "hf:a/b"})
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["code"], error["message"]) == (reason.lower(), "why it failed")


async def test_token_is_not_repeated(
    client: httpx.AsyncClient, service: Any, failure: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script = [failure(grpc.StatusCode.INTERNAL, "boom", "INTERNAL")]
    body = {"source": "hf:a/b", "token": "hf_secret"}
    for wrong in ({}, {"token": "hf_secret" * 1000}, {"stream": "x"}):
        response = await client.post(PULL, json=body | wrong)
        assert "hf_secret" not in response.text
    assert "hf_secret" not in "".join(capsys.readouterr())
