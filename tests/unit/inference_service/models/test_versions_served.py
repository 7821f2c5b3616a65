"""Versions of a model at run time: which of them a name stands for, and which go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference_service.domain import ModelState

AnyCall = Callable[..., Any]
UNLOADED, READY = ModelState.UNLOADED, ModelState.READY


async def load(registry: Any, name: str) -> None:
    async for _ in registry.load(name):
        pass


async def test_latest_version_is_served_and_supersedes(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    for version in ("2", "10"):
        write_fake_model(tmp_path, f"m@{version}")
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    assert states(registry) == {"m@10": READY, "m@2": UNLOADED}
    assert (await registry.info("m")).name == "m@10"
    assert (await registry.info("m@10")).aliases == ("m",)
    write_fake_model(tmp_path, "m@11")
    old = (await registry.acquire("m", "Generate")).model
    with old.admitted():
        await load(registry, "m@11")
        assert (await registry.acquire("m", "Generate")).model.folder.name == "m@11"
        assert states(registry)["m@10"] is ModelState.DRAINING
        assert old.busy
    await eventually(lambda: states(registry)["m@10"] is UNLOADED)
    assert registry.ready


async def test_name_stays_with_the_version_that_answers(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "m@1")
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    write_fake_model(tmp_path, "m@2", fake_load_seconds=0.2)
    loading = asyncio.create_task(load(registry, "m@2"))
    names = []
    while not loading.done():
        names.append((await registry.acquire("m", "Generate")).model.folder.name)
        await asyncio.sleep(0)
    await loading
    assert names[0] == "m@1"
    assert sorted(names) == names  # m@1 for a while, then m@2, and no gap
    assert (await registry.acquire("m", "Generate")).model.folder.name == "m@2"


async def test_all_versions_or_those_listed(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    for name in ("all@1", "all@2", "some@1", "some@2", "some@3"):
        write_fake_model(tmp_path, name)
    registry, _ = await make_registry(
        models={"all": {"versions": "all"}, "some": {"versions": ["1", "2"]}},
        aliases={"stable": "some@1", "team/newest": "all"},
    )
    await eventually(lambda: registry.ready)
    assert [name for name, state in states(registry).items() if state is READY] == [
        "all@1",
        "all@2",
        "some@1",
        "some@2",
    ]
    for name, full in (("some", "some@2"), ("stable", "some@1"), ("team/newest", "all@2")):
        assert (await registry.acquire(name, "Generate")).model.folder.name == full
    assert (await registry.info("all@2")).aliases == ("all", "team/newest")


async def test_pinned_older_version_stays(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "m@1", pinned="true")
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    write_fake_model(tmp_path, "m@2")
    await load(registry, "m@2")
    assert states(registry) == {"m@1": READY, "m@2": READY}
    assert (await registry.info("m")).name == "m@2"


async def test_model_without_a_version_is_superseded_and_still_managed(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "m")
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    write_fake_model(tmp_path, "m@2")
    await load(registry, "m@2")
    assert (await registry.acquire("m", "Generate")).model.folder.name == "m@2"
    await eventually(lambda: states(registry) == {"m": UNLOADED, "m@2": READY})
    assert (await registry.info("m")).name == "m"
    await registry.delete("m")
    assert (await registry.acquire("m", "Generate")).model.folder.name == "m@2"
    assert (await registry.info("m")).name == "m@2"
