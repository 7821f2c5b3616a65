"""A new version takes over under load, and no request fails."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from openvino_server.v1 import models_pb2

from tests import tiny_llama
from tests.integration.models.conftest import MIB, Service
from tests.integration.waiting import until

STREAMS = 32
TOKENS = 40


@pytest.fixture(scope="session")
def second_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with other weights."""
    return tiny_llama.write_ir(tmp_path_factory.mktemp("second") / "tiny", seed=1)


async def test_swap_under_32_streams(service: Service, second_version: Path) -> None:
    source = service.sources / "second"
    shutil.copytree(second_version, source)
    (source / "model.toml").write_text(f"kv_cache_bytes = {32 * MIB}\n")
    await service.pull("swap@1", f"file:{service.sources}/tiny")
    await service.load("swap@1")
    done, stop = [], asyncio.Event()

    async def client(number: int) -> None:
        while not stop.is_set():
            await service.generate("swap", TOKENS, f"Client {number} asks")  # its asserts count
            done.append(number)

    clients = [asyncio.create_task(client(number)) for number in range(STREAMS)]

    async def each_has(times: int) -> bool:
        assert not any(task.done() for task in clients), [t for t in clients if t.done()]
        return all(done.count(number) >= times for number in range(STREAMS))

    await until(lambda: each_has(1), "each client has an answer")
    await service.pull("swap@2", f"file:{source}")
    assert (await service.load("swap@2")).state == models_pb2.MODEL_STATE_READY

    async def swapped() -> bool:
        await each_has(0)
        return (await service.states())["swap@1"] == "unloaded"

    await until(swapped, "the old version ended")
    named = await service.models.GetModel(models_pb2.GetModelRequest(name="swap"))
    assert named.model.name == "swap@2"
    done.clear()
    await until(lambda: each_has(1), "each client has an answer of the new version")
    stop.set()
    await asyncio.gather(*clients)
    for name in ("swap@1", "swap@2"):
        await service.delete(name, unload=True)
