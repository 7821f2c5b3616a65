"""A slot's life with a loader that does as the test says: orders that real loads seldom have."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from inference_service.domain import ModelState
from inference_service.errors import (
    LoadCancelled,
    ModelNotFound,
)
from inference_service.models.slot import Slot
from tests.unit.inference_service.models.stand_ins import Loader, Running, ready, turns

UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY
DRAINING, FAILED = ModelState.DRAINING, ModelState.FAILED


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
