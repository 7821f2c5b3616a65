from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelState
from inference_service.errors import MemoryExhausted

AnyCall = Callable[..., Any]
UNLOADED, READY = ModelState.UNLOADED, ModelState.READY
MIB = 1 << 20
EACH = 100 * MIB  # of a model
BUDGET = 350 * MIB  # two models with their processes, and no third


async def load(registry: Any, name: str) -> None:
    async for _ in registry.load(name):
        pass


@pytest.fixture
def write_models(write_fake_model: AnyCall, tmp_path: Path) -> AnyCall:
    def write(*names: str, **settings: object) -> None:
        for name in names:
            write_fake_model(tmp_path, name, fake_memory_bytes=EACH, **settings)

    return write


async def test_memory_is_measured_and_comes_back(
    make_registry: AnyCall, write_models: AnyCall, new_children: AnyCall
) -> None:
    write_models("a")
    registry, _ = await make_registry(load_models=[])
    assert registry.memory().used_bytes == 0
    await load(registry, "a")
    memory = registry.memory()
    assert EACH < memory.used_bytes < EACH + 80 * MIB
    assert memory.budget_bytes is None
    assert (await registry.info("a")).memory_bytes == memory.used_bytes
    assert (await registry.unload("a")).memory_bytes is None
    assert registry.memory().used_bytes == 0
    assert not new_children()


async def test_least_recently_used_goes_for_a_new_one(
    make_registry: AnyCall, write_models: AnyCall, states: AnyCall
) -> None:
    write_models("a", "b", "c")
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "a")
    await load(registry, "b")
    with (await registry.acquire("a", "Generate")).model.used():
        pass  # so b is what was used least recently
    await load(registry, "c")
    assert states(registry) == {"a": READY, "b": UNLOADED, "c": READY}
    memory = registry.memory()
    assert memory.used_bytes + memory.reserved_bytes <= BUDGET


async def test_busy_and_pinned_models_stay(
    make_registry: AnyCall, write_models: AnyCall, states: AnyCall
) -> None:
    write_models("busy", "new")
    write_models("pinned", pinned="true")
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "busy")
    await load(registry, "pinned")
    with (await registry.acquire("busy", "Generate")).model.admitted():
        with pytest.raises(MemoryExhausted) as caught:
            await load(registry, "new")
        assert states(registry) == {"busy": READY, "new": UNLOADED, "pinned": READY}
    told = {name: int(value) for name, value in caught.value.metadata.items() if name != "model"}
    assert told["budget_bytes"] == BUDGET
    assert told["free_bytes"] < told["needed_bytes"]
    assert told["needed_bytes"] > EACH
    await load(registry, "new")
    assert states(registry) == {"busy": UNLOADED, "new": READY, "pinned": READY}


async def test_model_that_can_never_fit_evicts_nobody(
    make_registry: AnyCall,
    write_models: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    states: AnyCall,
) -> None:
    write_models("a", "b")
    write_fake_model(tmp_path, "huge", fake_memory_bytes=BUDGET)
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "a")
    await load(registry, "b")
    with pytest.raises(MemoryExhausted):
        await load(registry, "huge")
    assert states(registry) == {"a": READY, "b": READY, "huge": UNLOADED}


async def test_loads_at_once_keep_to_the_budget(
    make_registry: AnyCall, write_models: AnyCall, states: AnyCall, new_children: AnyCall
) -> None:
    names = [f"m{number}" for number in range(5)]
    write_models(*names, fake_load_seconds=0.2)
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    most = 0

    async def count() -> None:
        nonlocal most
        while True:
            most = max(most, len(new_children()))
            await asyncio.sleep(0.01)

    counting = asyncio.create_task(count())
    ends = await asyncio.gather(*(load(registry, name) for name in names), return_exceptions=True)
    counting.cancel()
    assert most == 2
    refused = [end for end in ends if end is not None]
    assert all(isinstance(end, MemoryExhausted) for end in refused)
    ready = [name for name, state in states(registry).items() if state is READY]
    assert len(ready) == 2
    assert len(refused) < len(names)


async def test_load_waits_for_what_is_just_ending(
    make_registry: AnyCall, write_models: AnyCall, eventually: AnyCall, states: AnyCall
) -> None:
    write_models("a", "c")
    write_models("b", pinned="true")
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "a")
    await load(registry, "b")
    with (await registry.acquire("a", "Generate")).model.admitted():
        unloading = asyncio.create_task(registry.unload("a"))
        await eventually(lambda: states(registry)["a"] is ModelState.DRAINING)
        loading = asyncio.create_task(load(registry, "c"))
        await eventually(lambda: states(registry)["c"] is ModelState.LOADING)
        assert not loading.done()
    await unloading
    await loading
    assert states(registry) == {"a": UNLOADED, "b": READY, "c": READY}


async def test_growth_past_the_budget_unloads_idle_models(
    make_registry: AnyCall, write_models: AnyCall, states: AnyCall
) -> None:
    write_models("a", "b")
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "a")
    await load(registry, "b")
    budget = registry._memory
    assert budget is not None
    registry._memory._budget = 200 * MIB  # as if both had grown
    await registry._memory.measure()
    assert states(registry) == {"a": UNLOADED, "b": READY}


async def test_load_that_fits_does_not_wait_behind_one_that_waits(
    make_registry: AnyCall,
    write_models: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_models("a", "c")
    write_models("b", pinned="true")
    write_fake_model(tmp_path, "small", fake_memory_bytes=0)
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "a")
    await load(registry, "b")
    with (await registry.acquire("a", "Generate")).model.admitted():
        unloading = asyncio.create_task(registry.unload("a"))
        await eventually(lambda: states(registry)["a"] is ModelState.DRAINING)
        waiting = asyncio.create_task(load(registry, "c"))
        await eventually(lambda: "room" in (registry._catalogue.slots["c"].stage or ""))
        await asyncio.wait_for(load(registry, "small"), 10)
        assert not waiting.done()
    await unloading
    await waiting
    assert states(registry) == {"a": UNLOADED, "b": READY, "c": READY, "small": READY}


async def test_replicas_that_still_load_are_charged(
    make_registry: AnyCall, write_models: AnyCall, eventually: AnyCall, states: AnyCall
) -> None:
    write_models("two", replicas=2, fake_load_seconds=1)
    write_models("other")
    registry, _ = await make_registry(load_models=[], memory_budget_bytes=BUDGET)
    await load(registry, "two")
    assert (await registry.info("two")).ready_replicas == 1
    memory = registry.memory()
    assert memory.used_bytes + memory.reserved_bytes >= 2 * EACH
    with (await registry.acquire("two", "Generate")).model.admitted():
        with pytest.raises(MemoryExhausted):  # would be one too many
            await load(registry, "other")
        slot = registry._catalogue.slots["two"]
        await eventually(lambda: slot.model.replicas.ready == 2)
        await registry._memory.measure()
        memory = registry.memory()
        assert 2 * EACH < memory.used_bytes < 2 * EACH + 160 * MIB
        assert memory.reserved_bytes == 0
    learned = registry._memory._learned["two"][2]
    assert learned == memory.used_bytes
