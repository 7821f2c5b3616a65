from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from inference_service.engine import frames
from inference_service.engine.process import LoadError, LoadRefusedError
from inference_service.engine.settings import ModelSettings
from inference_service.engine.worker import Worker

TIMEOUT_SECONDS = 30
KINDS = ("generation", "embedding")


async def start(tmp_path: Path, kind: str = "generation", **settings: object) -> Worker:
    load = frames.Load(str(tmp_path), ModelSettings(engine="fake", **settings), 1000, kind)
    return await Worker.start("m", load, timeout_seconds=TIMEOUT_SECONDS)


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("kind", KINDS)
async def test_load_takes_as_long_as_asked(tmp_path: Path, kind: str) -> None:
    started = time.monotonic()
    worker = await start(tmp_path, kind, fake_load_seconds=0.3)
    assert time.monotonic() - started >= 0.3
    await worker.stop()


@pytest.mark.parametrize("kind", KINDS)
async def test_load_fails_as_asked(tmp_path: Path, kind: str) -> None:
    with pytest.raises(LoadRefusedError, match="the fake engine was asked to fail"):
        await start(tmp_path, kind, fake_load_failure="out_of_memory")


async def test_process_dies_if_asked(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="died while it loaded"):
        await start(tmp_path, fake_load_failure="die")


async def test_model_has_the_memory_asked_for(tmp_path: Path) -> None:
    small = await start(tmp_path)
    large = await start(tmp_path, fake_memory_bytes=64 << 20)
    more = resident_bytes(large.pid) - resident_bytes(small.pid)
    assert more == pytest.approx(64 << 20, abs=8 << 20)
    await small.stop()
    await large.stop()
