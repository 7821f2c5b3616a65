"""What a load that comes to nothing leaves behind."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelState
from inference_service.errors import ModelLoadFailed, ModelNotFound

AnyCall = Callable[..., Any]


async def test_cancelled_while_it_ends_it_still_ends(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    new_children: AnyCall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A load fails by itself, and is cancelled in the turn in which it begins to clean up."""
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry(load_models=[])
    slot = registry._catalogue.slots["a"]

    async def refused(*_: object) -> None:
        load.task.cancel()  # takes effect at the next thing that is awaited
        raise MemoryError

    monkeypatch.setattr(registry._memory, "settle", refused)
    load = slot.begin_load(detach=True)
    await asyncio.wait([load.task])
    assert load.task.cancelled()
    assert not new_children()
    assert slot.unused
    memory = registry.memory()
    assert (memory.used_bytes, memory.reserved_bytes) == (0, 0)


async def test_nothing_is_left_of_a_model_that_goes_while_somebody_is_about_to_load_it(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry(load_models=[])
    old = registry._catalogue.slots["a"]
    (tmp_path / "a").rename(tmp_path / "b")
    await registry.infos()
    (tmp_path / "b").rename(tmp_path / "a")
    await registry.infos()
    assert registry._catalogue.slots["a"] is not old
    with pytest.raises(ModelNotFound):
        await old.load(detach=True)
    assert not new_children()


async def test_what_the_system_refuses_is_told_as_a_failure(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry(load_models=[])

    def refused(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "/secret/place")

    monkeypatch.setattr("inference_service.models.loading.folder_of", refused)
    with pytest.raises(ModelLoadFailed, match="Too many open files") as caught:
        async for _ in registry.load("a"):
            pass
    assert "/secret" not in str(caught.value)
    info = await registry.info("a")
    assert info.state is ModelState.FAILED
    assert "Too many open files" in info.failure
