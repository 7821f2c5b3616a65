"""A memory budget: idle models go, busy ones never, whatever asks for their room."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tests.integration.models.conftest import MIB, Service
from tests.integration.waiting import until

BUDGET = 1100 * MIB
CACHE = 300 * MIB  # what each model can grow to counts, so two fit and no third
ATTEMPTS = 12


async def is_busy(service: Service, name: str) -> bool:
    replicas = (await service.status()).replicas
    return any(r.model == name and r.outstanding_requests for r in replicas)


async def test_busy_model_is_never_evicted(
    start_service: Any, reason_of: Any, tiny_model: Path, tmp_path: Path
) -> None:
    names = ["busy", "a", "b", "c"]
    for name in names:
        shutil.copytree(tiny_model, tmp_path / "models" / name)
        (tmp_path / "models" / name / "model.toml").write_text(f"kv_cache_bytes = {CACHE}\n")
    async with start_service(tmp_path, memory_budget_bytes=BUDGET) as service:
        ended, results = asyncio.Event(), []

        async def keep_busy() -> None:
            while not ended.is_set():
                results.append(await service.generate("busy", 200))

        await service.generate("busy")
        pid = (await service.status()).replicas[0].pid
        busy = [asyncio.create_task(keep_busy()) for _ in range(4)]
        loaded: set[str] = set()
        refused: set[str] = set()
        for attempt in range(ATTEMPTS):
            name = "abc"[attempt % 3]
            try:
                await (service.load(name) if attempt % 2 else service.generate(name))
                loaded.add(name)
            except grpc.aio.AioRpcError as error:
                refused.add(reason_of(error))
            status = await service.status()
            running = {replica.model: replica.pid for replica in status.replicas}
            assert running["busy"] == pid
            assert len(running) <= 2
            assert status.memory.used_bytes + status.memory.reserved_bytes <= BUDGET
        assert loaded == {"a", "b", "c"}
        assert refused <= {"MEMORY_EXHAUSTED"}  # the other one may just be answering
        # Both at once: there is room for one, and the other has nobody to evict but the busy one.
        async with asyncio.TaskGroup() as group:
            holder = group.create_task(service.generate("a", 400))
            await until(lambda: is_busy(service, "a"), "the other model answers")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await service.load("b")
            assert reason_of(caught.value) == "MEMORY_EXHAUSTED"
            assert not holder.done()
        ended.set()
        await asyncio.gather(*busy)
        assert len(results) >= len(busy)
