"""The end of a replica, whatever it is doing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelState
from inference_service.engine import frames
from inference_service.engine.replica import Replica
from inference_service.errors import WorkerLost

BIG = 1 << 20
AnyCall = Callable[..., Any]


async def until(eventually: AnyCall, replica: Replica, state: ModelState) -> None:
    await eventually(lambda: replica.state is state)


async def test_stop_while_loading_is_quick_and_leaves_no_process(
    make_replica: AnyCall, eventually: AnyCall, new_children: AnyCall
) -> None:
    replica, _ = make_replica(fake_load_seconds=60)
    replica.start()
    await eventually(new_children)
    (pid,) = new_children()
    # It is inside the load: it has read what to load, and sleeps where no socket is looked at.
    await eventually(lambda: "nanosleep" in Path(f"/proc/{pid}/wchan").read_text())
    started = time.monotonic()
    await replica.stop()
    assert time.monotonic() - started < 1
    assert new_children() == set()


@pytest.mark.usefixtures("gate")
async def test_stop_while_loading_leaves_no_process(
    make_replica: AnyCall, eventually: AnyCall, new_children: AnyCall
) -> None:
    replica, states = make_replica()
    replica.start()
    await eventually(new_children)
    assert replica.state is ModelState.LOADING
    await replica.stop()
    assert new_children() == set()
    assert states[-1] is ModelState.UNLOADED
    assert ModelState.READY not in states


async def test_stop_at_once_and_twice(make_replica: AnyCall, new_children: AnyCall) -> None:
    replica, states = make_replica()
    await replica.stop()
    replica.start()
    await replica.stop()
    await replica.stop()
    assert new_children() == set()
    assert states[-1] is ModelState.UNLOADED
    assert ModelState.READY not in states


async def test_stop_while_a_worker_is_replaced(
    make_replica: AnyCall, eventually: AnyCall, gate: Any, new_children: AnyCall
) -> None:
    gate.open()
    replica, _ = make_replica()
    replica.start()
    await until(eventually, replica, ModelState.READY)
    gate.shut()
    replica.worker().kill()
    await until(eventually, replica, ModelState.LOADING)
    await replica.stop()
    assert new_children() == set()
    assert replica.state is ModelState.UNLOADED


async def test_stop_ends_a_worker_that_hangs(
    make_replica: AnyCall,
    eventually: AnyCall,
    sampling: frames.Sampling,
    monkeypatch: pytest.MonkeyPatch,
    is_gone: AnyCall,
) -> None:
    monkeypatch.setattr("inference_service.engine.process._END_SECONDS", 0.2)
    replica, _ = make_replica()
    replica.start()
    await until(eventually, replica, ModelState.READY)
    worker = replica.worker()
    stream = worker.submit("!hang", sampling, BIG)
    await eventually(lambda: worker.silent_seconds > 0.2)  # long after a step would have ended
    await replica.stop()
    assert is_gone(worker.pid)
    with pytest.raises(WorkerLost):
        await anext(stream)
