"""A slot's life with a loader that does as the test says: orders that real loads seldom have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inference_service.domain import LoadFailure, LoadFailureCause, ModelState
from inference_service.engine.settings import ModelSettings
from inference_service.errors import (
    LoadCancelled,
    MemoryExhausted,
    ModelLoadFailed,
    ModelNotFound,
)
from inference_service.models.loaded import LoadedModel
from inference_service.models.problems import LoadProblem
from inference_service.models.slot import Slot

UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY
DRAINING, FAILED = ModelState.DRAINING, ModelState.FAILED
CAUSE = LoadFailureCause


class Running:
    """What a slot needs of a loaded model."""

    def __init__(self) -> None:
        self.replicas = SimpleNamespace(state=READY, loaded=self._loaded)
        self.folder = SimpleNamespace(settings=ModelSettings())
        self.busy = False
        self._idle = asyncio.Event()

    async def _loaded(self) -> None:
        await asyncio.sleep(0)

    async def idle(self) -> None:
        if self.busy:
            await self._idle.wait()

    def free(self) -> None:
        self.busy = False
        self._idle.set()


class Loader:
    """Loads when told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self.problem: Exception | None = None
        self.unwound: asyncio.Event | None = None  # set: a cancelled load ends when this is
        self.ended: list[Running] = []
        self.took: list[str] = []
        self.left: list[str] = []

    async def load(self, slot: Slot) -> LoadedModel:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            if self.unwound:
                await self.unwound.wait()
            raise
        if self.problem:
            raise self.problem
        return cast("LoadedModel", Running())

    def loaded(self, slot: Slot) -> None:
        self.took.append(slot.name)

    def retired(self, slot: Slot) -> None:
        self.left.append(slot.name)

    async def end(self, model: LoadedModel) -> None:
        self.ended.append(cast("Running", model))


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def slot(loader: Loader) -> Slot:
    entry: Any = SimpleNamespace(name="m", problem=None, settings=ModelSettings())
    return Slot(entry, loader, lambda name: None, drain_seconds=10)


@pytest.fixture
def begin(slot: Slot) -> Callable[..., asyncio.Task[None]]:
    def start(**how: Any) -> asyncio.Task[None]:
        return asyncio.create_task(slot.load(**({"detach": False} | how)))

    return start


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def ready(slot: Slot, loader: Loader) -> Running:
    loader.go.set()
    await slot.load(detach=False)
    loader.go.clear()
    return cast("Running", slot.serving)


async def test_states_of_a_life(slot: Slot, loader: Loader, begin: Any) -> None:
    assert (slot.state, slot.unused) == (UNLOADED, True)
    loading = begin()
    await turns()
    assert (slot.state, slot.unused, slot.stage) == (LOADING, False, "waiting")
    loader.go.set()
    await loading
    assert (slot.state, slot.stage) == (READY, None)
    assert loader.took == ["m"]
    model = cast("Running", slot.serving)
    model.busy = True
    unloading = asyncio.create_task(slot.unload())
    await turns()
    assert (slot.state, loader.ended, loader.left) == (DRAINING, [], ["m"])
    model.free()
    await unloading
    assert (slot.state, loader.ended, slot.unused) == (UNLOADED, [model], True)


async def test_load_begins_anew_after_one_that_is_still_unwinding(
    slot: Slot, loader: Loader, begin: Any
) -> None:
    loader.unwound = asyncio.Event()
    first = begin()
    await turns()
    first.cancel()
    await turns()
    second = begin()
    await turns()
    assert loader.begun == 1  # never two at once
    assert slot.state is LOADING
    loader.unwound.set()
    loader.go.set()
    await second
    assert (loader.begun, slot.state) == (2, READY)


async def test_load_that_is_cancelled_before_it_begins_leaves_nothing(
    slot: Slot, loader: Loader, begin: Any
) -> None:
    loading = begin()
    unloading = asyncio.create_task(slot.unload())  # runs between the load's making and beginning
    (end, _) = await asyncio.gather(loading, unloading, return_exceptions=True)
    assert isinstance(end, LoadCancelled)
    assert (slot.state, slot.unused, loader.begun) == (UNLOADED, True, 0)


async def test_unload_waits_for_all_that_unwinds(slot: Slot, loader: Loader, begin: Any) -> None:
    loader.unwound = asyncio.Event()
    first = begin()
    await turns()
    first.cancel()
    await turns()
    second = begin()
    await turns()
    unloading = asyncio.create_task(slot.unload())
    await turns()
    assert not unloading.done()
    assert (slot.state, slot.unused) == (LOADING, False)
    loader.unwound.set()
    await unloading
    assert (slot.state, slot.unused) == (UNLOADED, True)
    with pytest.raises(LoadCancelled):
        await second


async def test_unload_tells_all_who_wait_and_later_ones_load_again(
    slot: Slot, loader: Loader, begin: Any
) -> None:
    waiting = [begin() for _ in range(3)] + [begin(detach=True)]
    await turns()
    await slot.unload()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [LoadCancelled] * 4
    assert slot.state is UNLOADED
    await ready(slot, loader)
    assert slot.state is READY


async def test_load_while_the_old_one_drains(slot: Slot, loader: Loader) -> None:
    old = await ready(slot, loader)
    old.busy = True
    slot.retire()
    assert slot.state is DRAINING
    new = await ready(slot, loader)
    assert new is not old
    assert slot.state is READY
    old.free()
    await slot.settled()
    assert (loader.ended, slot.serving) == ([old], new)


async def test_unload_shortens_the_time_of_what_ends_already(slot: Slot, loader: Loader) -> None:
    old = await ready(slot, loader)
    old.busy = True
    waiting = asyncio.create_task(slot.unload(3600))
    await turns()
    longer = asyncio.create_task(slot.unload(7200))
    await turns()
    assert (slot.state, waiting.done(), longer.done()) == (DRAINING, False, False)
    async with asyncio.timeout(5):
        await slot.unload(0)
    assert (slot.state, loader.ended) == (UNLOADED, [old])
    await asyncio.gather(waiting, longer)


async def test_eviction_does_not_wait_for_what_it_was_before(slot: Slot, loader: Loader) -> None:
    old = await ready(slot, loader)
    old.busy = True
    loader.go.set()
    await slot.load(detach=False, reload=True)
    new = slot.serving
    async with asyncio.timeout(5):
        await slot.evict()
    assert (slot.state, loader.ended) == (DRAINING, [new])
    old.free()
    await slot.settled()
    assert (slot.state, loader.ended) == (UNLOADED, [new, old])


async def test_reload_that_fails_leaves_what_runs(slot: Slot, loader: Loader, begin: Any) -> None:
    model = await ready(slot, loader)
    loader.problem = LoadProblem(LoadFailure(CAUSE.TIMEOUT, "not loaded after 1 s"))
    loader.go.set()
    with pytest.raises(ModelLoadFailed, match="not loaded after 1 s"):
        await slot.load(detach=False, reload=True)
    assert (slot.state, slot.serving, loader.ended) == (READY, model, [])


@pytest.mark.parametrize("cause", list(CAUSE))
async def test_failures_that_can_pass_are_retried_in_time(
    slot: Slot, loader: Loader, cause: LoadFailureCause, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader.problem = LoadProblem(LoadFailure(cause, "it can't"))
    loader.go.set()
    clock = 100.0
    monkeypatch.setattr("inference_service.models.problems.time.monotonic", lambda: clock)
    lasting = {CAUSE.INVALID_FILES, CAUSE.INVALID_SETTINGS, CAUSE.UNSUPPORTED}
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        with pytest.raises(ModelLoadFailed) as caught:
            await slot.load(detach=False)
        assert caught.value.metadata == {"model": "m", "cause": cause.value}
        assert slot.state is FAILED
        clock += wait - 0.5
        with pytest.raises(ModelLoadFailed):
            slot.require_retry()
        clock += 1
        if cause in lasting:
            with pytest.raises(ModelLoadFailed):
                slot.require_retry()
        else:
            slot.require_retry()


async def test_failure_that_nobody_thought_of_shows(slot: Slot, loader: Loader) -> None:
    loader.problem = RuntimeError("can't start new thread")
    loader.go.set()
    with pytest.raises(RuntimeError):
        await slot.load(detach=False)
    assert slot.state is FAILED
    assert slot.failure
    assert "log" in slot.failure.message
    with pytest.raises(ModelLoadFailed):
        slot.require_retry()  # not at once


async def test_load_replaces_workers_that_failed_for_good(slot: Slot, loader: Loader) -> None:
    broken = await ready(slot, loader)
    broken.replicas.state = FAILED
    await ready(slot, loader)
    assert slot.state is READY
    await slot.settled()
    assert loader.ended == [broken]


async def test_want_of_memory_is_no_fault_of_the_model(slot: Slot, loader: Loader) -> None:
    loader.problem = MemoryExhausted("m", 2, 1, 3)
    loader.go.set()
    with pytest.raises(MemoryExhausted):
        await slot.load(detach=False)
    assert (slot.state, slot.failure) == (UNLOADED, None)
    slot.require_retry()


async def test_busy_or_pinned_model_is_not_evicted(slot: Slot, loader: Loader) -> None:
    model = await ready(slot, loader)
    model.busy = True
    await slot.evict()
    assert slot.serving
    model.free()
    slot.pinned = True
    await slot.evict()
    assert slot.serving
    slot.pinned = None
    await slot.evict()
    assert (slot.state, loader.ended) == (UNLOADED, [model])


async def test_model_that_is_gone_is_not_loaded(slot: Slot, loader: Loader) -> None:
    slot.gone = True  # its place may have been taken by another of the name
    with pytest.raises(ModelNotFound):
        await slot.load(detach=True)
    assert (loader.begun, slot.unused) == (0, True)
