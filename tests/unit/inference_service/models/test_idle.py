from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelState

AnyCall = Callable[..., Any]
UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY


async def request(registry: Any, name: str, keep_alive_seconds: float | None = None) -> None:
    model = (await registry.acquire(name, "Generate")).model
    with model.used(keep_alive_seconds), model.admitted():
        await asyncio.sleep(0)


async def test_idle_models_go_in_their_time(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
    new_children: AnyCall,
) -> None:
    write_fake_model(tmp_path, "short", idle_unload_seconds=0.2)
    write_fake_model(tmp_path, "default")
    write_fake_model(tmp_path, "pinned", idle_unload_seconds=0, pinned="true")
    registry, _ = await make_registry(idle_unload_seconds=3600)
    await eventually(lambda: registry.ready)
    assert (await registry.info("default")).idle_unload_seconds == 3600
    assert (await registry.info("pinned")).idle_unload_seconds is None
    await eventually(lambda: states(registry)["short"] is UNLOADED)
    assert states(registry) == {"default": READY, "pinned": READY, "short": UNLOADED}
    await eventually(lambda: len(new_children()) == 2)


async def test_busy_model_stays_and_its_time_begins_when_it_is_idle(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", idle_unload_seconds=0.1)
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    model = (await registry.acquire("a", "Generate")).model
    with model.used(), model.admitted():
        await asyncio.sleep(0.3)  # thrice its time
        assert states(registry)["a"] is READY
        assert (await registry.acquire("a", "Generate")).model is model
    await eventually(lambda: states(registry)["a"] is UNLOADED)


async def test_requests_say_how_long_the_model_stays(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", idle_unload_seconds=3600)
    registry, _ = await make_registry(load_models=[], load_on_request=True)
    await request(registry, "a", keep_alive_seconds=0)
    await eventually(lambda: states(registry)["a"] is UNLOADED)
    await request(registry, "a", keep_alive_seconds=-1)
    assert (await registry.info("a")).idle_unload_seconds is None
    await request(registry, "a")  # the next one counts
    assert (await registry.info("a")).idle_unload_seconds == 3600
    assert (await registry.info("a")).last_use is not None


@pytest.mark.parametrize("pinned", [True, False])
async def test_load_decides_whether_a_model_is_pinned(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
    pinned: bool,
) -> None:
    write_fake_model(tmp_path, "a", idle_unload_seconds=0.1, pinned=str(not pinned).lower())
    write_fake_model(tmp_path, "witness", idle_unload_seconds=0.2)
    registry, _ = await make_registry(load_models=["witness"])
    async for info in registry.load("a", pinned=pinned):
        assert info.pinned is pinned
    if pinned:
        await eventually(lambda: states(registry)["witness"] is UNLOADED)
        assert states(registry)["a"] is READY
    else:
        await eventually(lambda: states(registry)["a"] is UNLOADED)


async def test_idle_time_goes_on_when_a_worker_was_lost_meanwhile(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a", idle_unload_seconds=0.3, fake_load_seconds=0.4)
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    (status,) = registry.replicas()
    os.kill(status.pid, signal.SIGKILL)
    await eventually(lambda: states(registry)["a"] is LOADING)  # so at the end of the time
    await eventually(lambda: states(registry)["a"] is UNLOADED)
