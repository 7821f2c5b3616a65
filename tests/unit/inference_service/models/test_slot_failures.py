"""Loads of a slot that fail, and when they are tried again."""

from __future__ import annotations

from typing import Any

import pytest

from inference_service.domain import LoadFailure, LoadFailureCause, ModelState
from inference_service.errors import (
    MemoryExhausted,
    ModelLoadFailed,
)
from inference_service.models.problems import LoadProblem
from inference_service.models.slot import Slot
from tests.unit.inference_service.models.stand_ins import Loader, ready

UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY
DRAINING, FAILED = ModelState.DRAINING, ModelState.FAILED
CAUSE = LoadFailureCause


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
