"""Looks at the disk, and deletions, whose callers leave."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from inference_service.errors import ModelNotFound
from inference_service.models.loading import CONVERTED
from inference_service.models.sources.cache import place_of
from inference_service.models.sources.folder import IR_FILES

AnyCall = Callable[..., Any]


@pytest.fixture
async def registry(make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path) -> Any:
    """A registry of a model `a` that is not loaded."""
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry(load_models=[])
    return registry


class Held:
    """A function that waits in its thread until it is let go."""

    def __init__(self, function: AnyCall) -> None:
        self.calls = 0
        self.go = threading.Event()
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        assert self.go.wait(20)
        return self._function(*arguments)


async def test_callers_that_leave_keep_no_threads(registry: Any, write_fake_model: AnyCall) -> None:
    repository = registry._catalogue._repository
    scan = repository.scan = Held(repository.scan)
    for _ in range(50):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await registry.infos()
    assert scan.calls == 1
    asking = [asyncio.create_task(registry.infos()) for _ in range(20)]
    await asyncio.sleep(0)
    scan.go.set()
    assert [info.name for info in (await asyncio.gather(*asking))[-1]] == ["a"]
    assert scan.calls == 2  # what began before they asked may not have seen all


async def test_model_can_not_be_loaded_while_it_is_deleted_though_the_caller_left(
    registry: Any, tmp_path: Path, eventually: AnyCall
) -> None:
    repository = registry._catalogue._repository
    delete = repository.delete = Held(repository.delete)
    deleting = asyncio.create_task(registry.delete("a"))
    await eventually(lambda: delete.calls)
    deleting.cancel()
    await asyncio.wait([deleting])
    with pytest.raises(ModelNotFound):
        async for _ in registry.load("a"):
            pass
    assert (tmp_path / "a").exists()
    delete.go.set()
    await eventually(lambda: not registry.snapshot())
    assert not (tmp_path / "a").exists()


async def test_what_a_model_was_converted_to_goes_with_it(
    registry: Any, tiny_gguf: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_gguf, tmp_path / "tiny.gguf")
    ir = tmp_path / CONVERTED / place_of(tmp_path / "tiny.gguf")
    ir.mkdir(parents=True)
    for name in IR_FILES:
        (ir / name).write_bytes(b"1")
    assert "tiny" in [info.name for info in await registry.infos()]
    await registry.delete("tiny")
    assert not ir.exists()


async def test_settings_of_what_is_not_there_are_told_once(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path
) -> None:
    settings = {name: {"max_num_seqs": 2} for name in ("a", "b", "b@1", "typo")}
    write_fake_model(tmp_path, "a")
    write_fake_model(tmp_path, "b@1")
    with structlog.testing.capture_logs() as logs:
        registry, _ = await make_registry(load_models=[], models=settings)
        await registry.infos()
    assert [entry["model"] for entry in logs if entry["event"] == "settings.without_effect"] == [
        "typo"
    ]
