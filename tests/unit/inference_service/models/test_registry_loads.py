"""Loads through the registry: shared, cancelled, detached, failed, and for a first request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause, ModelInfo, ModelKind, ModelState
from inference_service.errors import LoadCancelled, ModelLoadFailed, ModelNotFound, Unsupported

AnyCall = Callable[..., Any]
UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY
FAILED = ModelState.FAILED


async def load(registry: Any, name: str, **how: Any) -> list[ModelInfo]:
    return [info async for info in registry.load(name, **how)]


async def test_one_load_however_many_ask(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    write_fake_model(tmp_path, "a", fake_load_seconds=0.3)
    registry, _ = await make_registry(load_models=[])
    assert registry.ready  # nothing is to be loaded
    all_told = await asyncio.gather(*(load(registry, "a") for _ in range(20)))
    for told in all_told:
        assert [info.state for info in told[:-1]] == [LOADING] * (len(told) - 1)
        assert told[-1].state is READY
    assert any(info.stage for told in all_told for info in told)
    assert len(new_children()) == 1
    (again,) = await load(registry, "a")
    assert again.state is READY
    assert len(new_children()) == 1


async def test_load_is_cancelled_when_nobody_waits(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    new_children: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", fake_load_seconds=30)
    registry, _ = await make_registry(load_models=[])
    waiting = [asyncio.create_task(load(registry, "a")) for _ in range(2)]
    await eventually(new_children)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert states(registry)["a"] is LOADING  # one still waits
    waiting[1].cancel()
    await eventually(lambda: states(registry)["a"] is UNLOADED)
    await eventually(lambda: not new_children())


async def test_detached_load_goes_on(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", fake_load_seconds=0.3)
    registry, _ = await make_registry(load_models=[])
    loading = registry.load("a", detach=True)
    assert (await anext(loading)).state is LOADING
    await loading.aclose()
    await eventually(lambda: states(registry)["a"] is READY)


async def test_unload_cancels_a_load(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    new_children: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", fake_load_seconds=30)
    registry, _ = await make_registry(load_models=[])
    waiting = asyncio.create_task(load(registry, "a"))
    await eventually(new_children)
    assert (await registry.unload("a")).state is UNLOADED
    with pytest.raises(LoadCancelled):
        await waiting
    assert not new_children()


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("out_of_memory", LoadFailureCause.OUT_OF_MEMORY),
        ("unsupported", LoadFailureCause.UNSUPPORTED),
    ],
)
async def test_failed_load_says_why_to_all(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    how: str,
    cause: LoadFailureCause,
) -> None:
    folder = write_fake_model(tmp_path, "a", fake_load_failure=f'"{how}"')
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    with pytest.raises(ModelLoadFailed) as caught:
        await load(registry, "a")
    assert caught.value.metadata == {"model": "a", "cause": cause.value}
    info = await registry.info("a")
    assert (info.state, info.failure_cause) == (FAILED, cause)
    assert info.failure
    with pytest.raises(ModelLoadFailed):  # not tried again: it was only just now
        await asyncio.wait_for(registry.acquire("a", "Generate"), 0.2)
    settings = (folder / "model.toml").read_text().replace("fake_load_failure", "# ")
    (folder / "model.toml").write_text(settings)
    (*_, ready) = await load(registry, "a")
    assert (ready.state, ready.failure, ready.failure_cause) == (READY, None, None)


async def test_first_request_loads(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    write_fake_model(tmp_path, "a", fake_load_seconds=0.2)
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    targets = await asyncio.gather(*(registry.acquire("a", "Generate") for _ in range(16)))
    assert len({target.model for target in targets}) == 1
    assert len(new_children()) == 1
    with pytest.raises(Unsupported, match="a generation model"):
        await registry.acquire("a", "Embed", ModelKind.EMBEDDING)


async def test_request_of_another_kind_loads_nothing(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    with pytest.raises(Unsupported):
        await registry.acquire("a", "Embed", ModelKind.EMBEDDING)
    assert not new_children()


async def test_request_that_leaves_leaves_the_load(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
    new_children: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", fake_load_seconds=0.3)
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    waiting = asyncio.create_task(registry.acquire("a", "Generate"))
    await eventually(new_children)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await eventually(lambda: states(registry)["a"] is READY)


async def test_model_is_not_loaded_between_its_deletion_and_the_look_that_sees_it(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_fake_model(tmp_path, "a")
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    repository = registry._catalogue._repository
    scan, seen = repository.scan, threading.Event()

    def late_scan() -> object:
        if not folder.exists():
            seen.wait(10)
        return scan()

    monkeypatch.setattr(repository, "scan", late_scan)
    deleting = asyncio.create_task(registry.delete("a"))
    await eventually(lambda: not folder.exists())
    await asyncio.sleep(0.05)  # the deletion's thread has ended, and the look waits
    try:
        with pytest.raises(ModelNotFound):
            await asyncio.wait_for(registry.acquire("a", "Generate"), 5)
    finally:
        seen.set()
    await deleting
    assert registry.snapshot() == []
