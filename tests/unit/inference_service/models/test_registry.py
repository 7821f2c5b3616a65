from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause, ModelInfo, ModelState
from inference_service.errors import (
    ModelInUse,
    ModelNotFound,
    ModelNotReady,
)
from inference_service.models.catalogue import Catalogue

AnyCall = Callable[..., Any]
UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY
FAILED = ModelState.FAILED


async def load(registry: Any, name: str, **how: Any) -> list[ModelInfo]:
    return [info async for info in registry.load(name, **how)]


async def test_what_is_named_is_loaded_side_by_side(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    for name in ("b", "a", "other"):
        write_fake_model(tmp_path, name)
    registry, changes = await make_registry(load_models=["a", "b"])
    assert states(registry) == {"a": LOADING, "b": LOADING, "other": UNLOADED}
    assert not registry.ready
    with pytest.raises(ModelNotReady) as caught:
        await registry.acquire("a", "Generate")
    assert caught.value.metadata == {"model": "a", "state": "loading"}
    await eventually(lambda: registry.ready)
    assert states(registry) == {"a": READY, "b": READY, "other": UNLOADED}
    assert set(changes) == {"a", "b", "other"}
    assert [status.model for status in registry.replicas()] == ["a", "b"]
    with pytest.raises(ModelNotReady) as unloaded:
        await registry.acquire("other", "Generate")
    assert unloaded.value.metadata == {"model": "other", "state": "unloaded"}


async def test_missing_and_invalid_models_spoil_no_other(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a")
    write_fake_model(tmp_path, "bad", nonsense=1)
    registry, _ = await make_registry(load_models=["a", "gone"])
    await eventually(lambda: states(registry)["a"] is READY)
    assert not registry.ready  # what the configuration asks for is not there
    info = await registry.info("bad")
    assert (info.state, info.failure_cause) == (FAILED, LoadFailureCause.INVALID_SETTINGS)
    assert "nonsense" in (info.failure or "")
    with pytest.raises(ModelNotReady) as caught:
        await registry.acquire("bad", "Generate")
    assert caught.value.metadata["state"] == "failed"
    for call in (registry.info, lambda name: registry.acquire(name, "Generate")):
        with pytest.raises(ModelNotFound):
            await call("nope")


async def test_unload_lets_requests_end(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    new_children: AnyCall,
    states: AnyCall,
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    model = (await registry.acquire("a", "Generate")).model
    with model.admitted():
        unloading = asyncio.create_task(registry.unload("a"))
        await eventually(lambda: states(registry)["a"] is ModelState.DRAINING)
        with pytest.raises(ModelNotReady) as caught:
            await registry.acquire("a", "Generate")
        assert caught.value.metadata["state"] == "draining"
        assert new_children()
        assert not unloading.done()
    assert (await unloading).state is UNLOADED
    assert not new_children()
    assert registry.ready  # it was unloaded on purpose


async def test_unload_has_its_time(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    with (await registry.acquire("a", "Generate")).model.admitted():
        info = await asyncio.wait_for(registry.unload("a", drain_seconds=0.05), 5)
    assert info.state is UNLOADED


async def test_reload_takes_over_without_a_gap(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    new_children: AnyCall,
) -> None:
    folder = write_fake_model(tmp_path, "a", context_length=100)
    registry, _ = await make_registry()
    await eventually(lambda: registry.ready)
    old = (await registry.acquire("a", "Generate")).model
    with old.admitted():
        settings = (folder / "model.toml").read_text().replace("100", "200")
        (folder / "model.toml").write_text(settings)
        told = await load(registry, "a", reload=True)
        assert {info.state for info in told} == {READY}  # it answered all the time
        assert told[-1].context_length == 200
        assert len(new_children()) == 2
    assert (await registry.acquire("a", "Generate")).model is not old
    await eventually(lambda: len(new_children()) == 1)


async def test_adapters_are_chosen_by_name(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    folder = write_fake_model(tmp_path, "a")
    (folder / "pirate.safetensors").touch()
    with (folder / "model.toml").open("a") as settings:
        settings.write('\n[adapters.pirate]\nfile = "pirate.safetensors"\n')
    registry, _ = await make_registry(aliases={"ship": "a"})
    await eventually(lambda: registry.ready)
    assert (await registry.acquire("a:pirate", "Generate")).adapter == "pirate"
    assert (await registry.acquire("ship:pirate", "Generate")).adapter == "pirate"
    assert (await registry.acquire("a", "Generate")).adapter is None
    with pytest.raises(ModelNotFound):
        await registry.acquire("a:ninja", "Generate")
    assert (await registry.info("ship")).adapters == ("pirate",)


async def test_models_that_appear_and_go_are_seen(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, states: AnyCall
) -> None:
    registry, _ = await make_registry(load_models=[])
    write_fake_model(tmp_path, "a")
    assert [info.name for info in await registry.infos()] == ["a"]
    await registry.delete("a")
    assert not (tmp_path / "a").exists()
    assert states(registry) == {}
    with pytest.raises(ModelNotFound):
        await registry.delete("a")


async def test_loaded_model_is_not_deleted_unless_it_is_to_be_unloaded(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = await make_registry()
    with pytest.raises(ModelInUse, match="loading"):
        await registry.delete("a")
    await eventually(lambda: registry.ready)
    with pytest.raises(ModelInUse, match="ready"):
        await registry.delete("a")
    assert (tmp_path / "a").exists()
    await registry.delete("a", unload=True)
    assert not (tmp_path / "a").exists()


async def test_model_in_a_read_only_folder_is_served_but_not_deleted(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    extra = tmp_path_factory.mktemp("extra")
    write_fake_model(extra, "a")
    registry, _ = await make_registry(load_models=[], extra_models_dirs=[str(extra)])
    (*_, ready) = await load(registry, "a")
    assert (ready.state, ready.read_only) == (READY, True)
    with pytest.raises(ModelInUse, match="doesn't write"):
        await registry.delete("a", unload=True)
    assert (extra / "a").exists()


async def test_stop_ends_all_workers(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    new_children: AnyCall,
) -> None:
    for name in ("a", "b"):
        write_fake_model(tmp_path, name)
    write_fake_model(tmp_path, "slow", fake_load_seconds=30)
    registry, _ = await make_registry()
    await eventually(lambda: len(new_children()) == 3)
    await asyncio.wait_for(registry.stop(), 10)
    assert new_children() == set()
    assert not registry.ready


async def test_a_list_looks_up_no_alias_for_every_model(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(30):
        write_fake_model(tmp_path, f"m{number}")
    aliases = {f"alias{number}": f"m{number}" for number in range(30)} | {"m1": "m2", "other": "m3"}
    registry, _ = await make_registry(load_models=[], aliases=aliases)
    find = Catalogue.find
    asked: list[str] = []

    def counted(catalogue: Catalogue, name: str, **how: Any) -> Any:
        asked.append(name)
        return find(catalogue, name, **how)

    monkeypatch.setattr(Catalogue, "find", counted)
    listed = {model.name: model.aliases for model in await registry.infos()}
    assert listed["m1"] == ("alias1",)
    assert listed["m2"] == ("alias2",)  # m1 is a model
    assert listed["m3"] == ("alias3", "other")
    assert len(asked) <= 2 * len(aliases)
