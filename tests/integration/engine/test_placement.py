"""Where real workers run, and what memory they have."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference_service.domain import LoadFailureCause, TextDelta
from inference_service.engine import frames
from inference_service.engine.failure import LoadError
from inference_service.engine.settings import Adapter, ModelSettings
from inference_service.engine.worker import Worker
from tests import tiny_llama
from tests.integration.test_engine_facts import SAMPLING

TIMEOUT_SECONDS = 60
UNREAD_BYTES = 1 << 20
ANYWHERE = frames.Placement()


async def start(folder: Path, placement: frames.Placement = ANYWHERE, **settings: Any) -> Worker:
    values = {"kv_cache_bytes": 10_000_000} | settings
    load = frames.Load(
        str(folder), ModelSettings(**values), tiny_llama.CONTEXT_LENGTH, placement=placement
    )
    return await Worker.start("m", load, timeout_seconds=TIMEOUT_SECONDS)


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def threads(pid: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]


def policies(pid: int) -> set[str]:
    """Return where a process has its memory taken from."""
    lines = Path(f"/proc/{pid}/numa_maps").read_text().splitlines()
    return {line.split()[1] for line in lines if "anon=" in line}


async def text(worker: Worker, prompt: str, tokens: int, adapter: str | None = None) -> str:
    sampling = msgspec.structs.replace(SAMPLING, max_tokens=tokens, ignore_eos=True)
    stream = worker.submit(prompt, sampling, UNREAD_BYTES, adapter=adapter)
    return "".join(
        [event.text async for batch in stream for event in batch if isinstance(event, TextDelta)]
    )


async def test_every_thread_keeps_to_the_processors(tiny_model: Path) -> None:
    one = min(os.sched_getaffinity(0))
    worker = await start(tiny_model, frames.Placement((one,)))
    try:
        await text(worker, "hello", 20)
        tasks = threads(worker.pid)
        assert len(tasks) > 1
        assert {frozenset(os.sched_getaffinity(task)) for task in tasks} == {frozenset({one})}
    finally:
        await worker.stop()


async def test_memory_is_taken_from_the_node(tiny_model: Path) -> None:
    try:
        worker = await start(tiny_model, frames.Placement(None, 0))
    except LoadError as error:  # as in containers that are not allowed to choose
        if str(error) != "memory can't be taken from NUMA node 0: Operation not permitted":
            raise
        return
    try:
        # The device binds what it makes of the weights by itself.
        assert "prefer:0" in policies(worker.pid) <= {"prefer:0", "bind:0"}
    finally:
        await worker.stop()


@pytest.mark.parametrize(
    ("placement", "why"),
    [
        (frames.Placement((1023,)), "processors 1023 can't be used"),
        (frames.Placement(None, 900), "NUMA node 900"),
    ],
)
async def test_what_is_not_there_is_told(
    tiny_model: Path, placement: frames.Placement, why: str
) -> None:
    with pytest.raises(LoadError, match=why) as raised:
        await start(tiny_model, placement)
    assert raised.value.cause is LoadFailureCause.INVALID_SETTINGS


async def test_cache_takes_memory_as_it_fills_and_no_more_than_its_size(tiny_model: Path) -> None:
    budget = 24_000_000
    worker = await start(tiny_model, kv_cache_bytes=budget, memory_limit_bytes=600 << 20)
    try:
        await text(worker, "warm", 4)
        empty = resident_bytes(worker.pid)
        for number in range(8):
            await text(worker, f"{number} " * 300, 4)
        part = resident_bytes(worker.pid) - empty
        for number in range(100):
            await text(worker, f"{number} " * 300, 4)
        full = resident_bytes(worker.pid) - empty
        assert 1_000_000 < part < full < budget + 8_000_000
        assert full > budget / 2
    finally:
        await worker.stop()


async def test_requests_choose_an_adapter(tiny_model: Path, tmp_path: Path) -> None:
    file = tiny_llama.write_adapter(tmp_path / "a.safetensors")
    worker = await start(tiny_model, adapters={"a": Adapter(file=str(file))}, reproducible=True)
    try:
        plain = await text(worker, "hello", 20)
        adapted = await text(worker, "hello", 20, "a")
        assert adapted != plain
        assert await text(worker, "hello", 20) == plain
    finally:
        await worker.stop()
