from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from inference_service.config import ServiceConfig
from inference_service.domain import ModelState
from inference_service.errors import (
    ChatTemplateError,
    InvalidArgument,
    ModelNotFound,
    ModelNotReady,
    QueueFull,
)
from inference_service.models.registry import Registry

AnyCall = Callable[..., Any]


@pytest.fixture
async def make_registry(certs: Path, tmp_path: Path) -> AsyncIterator[AnyCall]:
    """Give a function that makes a registry of `tmp_path`, which is stopped after the test."""
    async with AsyncExitStack() as stack:

        def make(**settings: object) -> tuple[Registry, list[str]]:
            config = ServiceConfig(
                tls_cert=certs / "service.pem",
                tls_key=certs / "service-key.pem",
                tls_client_ca=certs / "ca.pem",
                models_dir=tmp_path,
                **settings,
            )
            changes: list[str] = []
            registry = Registry(config, changes.append)
            stack.push_async_callback(registry.stop)
            return registry, changes

        yield make


def states(registry: Registry) -> dict[str, ModelState]:
    return {info.name: info.state for info in registry.infos()}


async def test_all_models_are_loaded_side_by_side(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    for name in ("b", "a"):
        write_fake_model(tmp_path, name)
    registry, changes = make_registry()
    assert (registry.infos(), registry.ready) == ([], False)
    registry.start()
    assert list(states(registry).items()) == [("a", ModelState.LOADING), ("b", ModelState.LOADING)]
    assert not registry.ready
    with pytest.raises(ModelNotReady), registry.get("a").admitted():
        pass
    await eventually(lambda: registry.ready)
    assert set(states(registry).values()) == {ModelState.READY}
    assert sorted(changes) == ["a", "a", "b", "b"]
    assert [status.model for status in registry.replicas()] == ["a", "b"]


async def test_what_is_known_of_a_model(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path
) -> None:
    folder = write_fake_model(tmp_path, "a", reproducible="true", context_length=77)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    registry, _ = make_registry()
    registry.start()
    info = registry.info("a")
    assert (info.context_length, info.architecture, info.reproducible) == (77, "llama", True)
    assert info.failure is None


async def test_only_what_is_named_is_loaded(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    for name in ("a", "b"):
        write_fake_model(tmp_path, name)
    registry, _ = make_registry(load_models=["b"])
    registry.start()
    await eventually(lambda: registry.ready)
    assert states(registry) == {"a": ModelState.UNLOADED, "b": ModelState.READY}
    with pytest.raises(ModelNotReady) as caught:
        registry.get("a")
    assert caught.value.metadata == {"model": "a", "state": "unloaded"}


async def test_named_model_that_is_missing_has_failed(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "a")
    registry, _ = make_registry(load_models=["a", "gone"])
    registry.start()
    await eventually(lambda: states(registry)["a"] is ModelState.READY)
    assert states(registry)["gone"] is ModelState.FAILED
    assert not registry.ready  # it was asked to run
    with pytest.raises(ModelNotReady) as caught:
        registry.get("gone")
    assert caught.value.metadata["state"] == "failed"
    assert "openvino_model.xml" not in str(caught.value)


async def test_invalid_model_spoils_no_other(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "a")
    write_fake_model(tmp_path, "bad", nonsense=1)
    registry, _ = make_registry(load_models=["a"])
    registry.start()
    await eventually(lambda: registry.ready)
    assert states(registry) == {"a": ModelState.READY, "bad": ModelState.FAILED}
    assert "nonsense" in (registry.info("bad").failure or "")


async def test_unknown_model_is_not_found(make_registry: AnyCall) -> None:
    registry, _ = make_registry()
    registry.start()
    for look_up in (registry.get, registry.info):
        with pytest.raises(ModelNotFound) as caught:
            look_up("nope")
        assert caught.value.metadata == {"model": "nope"}
    assert not registry.ready


async def test_places_are_limited_and_given_back(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "a", max_num_seqs=2)
    write_fake_model(tmp_path, "b")
    registry, _ = make_registry(max_waiting_requests=1)
    registry.start()
    await eventually(lambda: registry.ready)
    model = registry.get("a")
    for _ in range(2):  # all places are free again the second time
        with ExitStack() as stack:
            for _ in range(3):
                assert stack.enter_context(model.admitted()) is model.replica.worker()
            with pytest.raises(QueueFull) as caught:
                stack.enter_context(model.admitted())
            assert caught.value.metadata == {"model": "a", "limit": "3"}
            with registry.get("b").admitted():
                pass  # another model's places are its own
    with pytest.raises(RuntimeError, match="given back"), model.admitted():
        raise RuntimeError("given back")
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(model.admitted())


async def test_each_completion_takes_a_place(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path, eventually: AnyCall
) -> None:
    write_fake_model(tmp_path, "a", max_num_seqs=2)
    registry, _ = make_registry(max_waiting_requests=2)
    registry.start()
    model = registry.get("a")
    with pytest.raises(InvalidArgument, match="more than the 4 completions") as caught:
        model.admitted(5).__enter__()  # loaded or not: it is never of use to try again
    assert caught.value.metadata == {"field": "sampling.n"}
    await eventually(lambda: registry.ready)
    with model.admitted(4), pytest.raises(QueueFull):
        model.admitted().__enter__()
    with model.admitted(3):
        with pytest.raises(QueueFull) as full:
            model.admitted(2).__enter__()
        assert full.value.metadata == {"model": "a", "limit": "4"}
        with model.admitted():
            pass


async def test_model_without_a_template_says_so(
    make_registry: AnyCall, write_fake_model: AnyCall, tmp_path: Path
) -> None:
    write_fake_model(tmp_path, "a", template=None)
    registry, _ = make_registry()
    registry.start()
    with pytest.raises(ChatTemplateError, match="send a prompt instead") as caught:
        _ = registry.get("a").chat
    assert caught.value.metadata == {"model": "a"}


async def test_stop_ends_all_workers(
    make_registry: AnyCall,
    write_fake_model: AnyCall,
    tmp_path: Path,
    eventually: AnyCall,
    new_children: AnyCall,
) -> None:
    for name in ("a", "b", "c"):
        write_fake_model(tmp_path, name)
    registry, _ = make_registry()
    registry.start()
    await eventually(lambda: registry.ready)
    assert len(new_children()) == 3
    await asyncio.wait_for(registry.stop(), 10)
    assert new_children() == set()
    assert not registry.ready
