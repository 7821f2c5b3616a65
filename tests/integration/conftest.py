"""One whole server a session: the real model, as it is and reproducible, and one that embeds."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import pytest
from openvino_server.v1 import health_pb2, health_pb2_grpc

from benchmarks.responsiveness import channel_credentials
from benchmarks.server import LocalServer, local_server

MODEL = "smollm2-135m-instruct"
REPRODUCIBLE = "reproducible"
EMBEDDING = "all-minilm-l6-v2"
_MODELS = Path(__file__).parents[2] / "var" / "models"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real_model)


@pytest.fixture(scope="session")
def model_dir() -> Path:
    return _folder(MODEL)


@pytest.fixture(scope="session")
def embedding_dir() -> Path:
    return _folder(EMBEDDING)


def _folder(model: str) -> Path:
    folder = _MODELS / model
    if not folder.is_dir():
        pytest.fail(f"there is no model in {folder}; `make test` fetches it")
    return folder


@pytest.fixture(scope="session")
def server(
    model_dir: Path, embedding_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    state = tmp_path_factory.mktemp("state")
    for name in (MODEL, REPRODUCIBLE):
        shutil.copytree(model_dir, state / "models" / name, copy_function=_link)
    # What compiles too long is to be refused soon.
    (state / "models" / MODEL / "model.toml").write_text("grammar_compile_seconds = 1.0\n")
    (state / "models" / REPRODUCIBLE / "model.toml").write_text("reproducible = true\n")
    shutil.copytree(embedding_dir, state / "models" / EMBEDDING, copy_function=_link)
    with local_server(state, MODEL, [MODEL, REPRODUCIBLE, EMBEDDING]) as running:
        yield running


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture
async def channel(server: LocalServer) -> AsyncIterator[grpc.aio.Channel]:
    """A direct client's channel."""
    async with grpc.aio.secure_channel(
        server.env["OVS_GRPC_ADDRESS"], channel_credentials(server.env)
    ) as opened:
        yield opened


class Replicas:
    """The workers' own counts."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = health_pb2_grpc.HealthServiceStub(channel)

    async def status(self, model: str = MODEL) -> health_pb2.ReplicaStatus:
        answer = await self._stub.GetStatus(health_pb2.GetStatusRequest())
        (replica,) = [replica for replica in answer.replicas if replica.model == model]
        return replica


@pytest.fixture
def replicas(channel: grpc.aio.Channel) -> Replicas:
    return Replicas(channel)
