"""Two hundred random operations from eight clients leave everything as it should be."""

from __future__ import annotations

import asyncio
import collections
import random
import shutil
from pathlib import Path
from typing import Any

import grpc.aio

from tests.integration.conftest import MODEL
from tests.integration.models.conftest import MIB, Service

CLIENTS, OPERATIONS = 8, 200
NAMES = ["m0", "m1", "m2@1", "m2@2"]
# What may happen to each operation, for others come in between; nothing else may.
ALLOWED = {
    "generate": {"MODEL_NOT_FOUND", "LOAD_CANCELLED", "MODEL_NOT_READY", "MEMORY_EXHAUSTED"},
    "load": {"MODEL_NOT_FOUND", "LOAD_CANCELLED", "MEMORY_EXHAUSTED"},
    "unload": {"MODEL_NOT_FOUND"},
    "pull": {"MODEL_EXISTS", "MODEL_NOT_FOUND"},  # deleted as soon as it was there
    "delete": {"MODEL_NOT_FOUND", "MODEL_IN_USE"},
}


async def operate(service: Service, what: str, name: str) -> None:
    match what:
        case "generate":
            await service.generate(name.partition("@")[0], 12)
        case "load":
            await service.load(name)
        case "unload":
            await service.unload(name)
        case "pull":
            await service.pull(name, f"file:{service.sources}/tiny")
        case "delete":
            await service.delete(name, unload=True)


async def test_random_operations(
    start_service: Any, reason_of: Any, tiny_model: Path, model_dir: Path, tmp_path: Path
) -> None:
    source, default = tmp_path / "sources" / "tiny", tmp_path / "models" / MODEL
    shutil.copytree(tiny_model, source)
    (source / "model.toml").write_text(f"kv_cache_bytes = {32 * MIB}\n")
    shutil.copytree(model_dir, default)
    (default / "model.toml").write_text(f"kv_cache_bytes = {64 * MIB}\n")
    chances = random.Random(4)
    whats = chances.choices(list(ALLOWED), weights=[8, 4, 3, 4, 2], k=OPERATIONS)
    work = [(what, chances.choice(NAMES)) for what in whats]
    for place in chances.sample(range(OPERATIONS), 12):  # the default model now and then
        work[place] = (chances.choice(["generate", "generate", "load", "unload"]), MODEL)
    outcomes: collections.Counter[tuple[str, str]] = collections.Counter()

    async with start_service(tmp_path, memory_budget_bytes=2048 * MIB) as service:
        await service.generate(MODEL, 4)
        await service.unload(MODEL)
        before = service.resident_bytes()

        async def client() -> None:
            while work:
                what, name = work.pop()
                try:
                    await operate(service, what, name)
                    outcomes[what, "OK"] += 1
                except grpc.aio.AioRpcError as error:
                    outcomes[what, reason_of(error)] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())
        assert all(outcomes[what, "OK"] for what in ALLOWED), outcomes
        assert all(reason in ALLOWED[what] | {"OK"} for what, reason in outcomes), outcomes

        states = await service.states()
        assert set(states.values()) <= {"ready", "unloaded"}, states
        for name, state in states.items():
            assert await service.is_serving(name) == (state == "ready")
        running = {r.pid for r in (await service.status()).replicas}
        assert running == service.children()  # no grammar was asked for, so workers are all
        for name in states:
            await service.generate(name, 4)
        on_disk = {path.name for path in service.models_dir.iterdir()}
        assert {name for name in on_disk if not name.startswith(".")} == set(states)
        assert not [name for name in on_disk if name.startswith((".partial", ".trash"))]
        await service.unload_all()
        assert not service.children()
        status = await service.status()
        assert (status.memory.used_bytes, status.memory.reserved_bytes) == (0, 0)
        assert service.resident_bytes() < before + 32 * MIB
