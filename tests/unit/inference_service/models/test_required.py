"""What the server's own health follows: the models that the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelState
from inference_service.errors import ModelLoadFailed

AnyCall = Callable[..., Any]


async def load(registry: Any, name: str) -> None:
    async for _ in registry.load(name):
        pass


@pytest.fixture
async def broken(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> Any:
    """A registry, and the names of models that change, with `a` and a broken `m@1`."""
    write_fake_model(tmp_path, "a")
    write_fake_model(tmp_path, "m@1", fake_load_failure="'unsupported'")
    registry, changes = await make_registry()
    await eventually(lambda: states(registry) == {"a": ModelState.READY, "m@1": ModelState.FAILED})
    assert not registry.ready
    return registry, changes


async def test_broken_model_is_given_up_by_an_unload(broken: Any) -> None:
    registry, changes = broken
    changes.clear()
    await registry.unload("m")
    assert registry.ready
    assert "m@1" in changes  # so that probes are told
    assert registry.state("m@1") is ModelState.FAILED


async def test_broken_model_is_given_up_by_its_deletion(broken: Any) -> None:
    registry, changes = broken
    changes.clear()
    await registry.delete("m@1")
    assert registry.ready
    assert "m@1" in changes


async def test_version_that_can_be_loaded_takes_the_place_of_one_that_can_not(
    broken: Any, write_fake_model: AnyCall, tmp_path: Path
) -> None:
    registry, _ = broken
    write_fake_model(tmp_path, "m@2")
    await load(registry, "m@2")
    assert registry.ready
    with pytest.raises(ModelLoadFailed):
        await load(registry, "m@1")
    assert registry.ready  # which one is asked for by name concerns itself alone


async def test_model_that_was_missing_at_the_start_may_come_later(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path
) -> None:
    registry, _ = await make_registry(load_models=["m"], aliases={"other": "m"})
    assert not registry.ready
    write_fake_model(tmp_path, "m@1")
    write_fake_model(tmp_path, "n")
    await load(registry, "n")
    assert not registry.ready
    await load(registry, "other")
    assert registry.ready
    await registry.unload("m")
    assert registry.ready
