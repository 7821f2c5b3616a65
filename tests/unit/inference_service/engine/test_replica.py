from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause, ModelState
from inference_service.engine import frames
from inference_service.engine.replica import Replica, RestartPolicy
from inference_service.engine.settings import ModelSettings
from inference_service.errors import ModelNotReady, WorkerLost

BIG = 1 << 20
AnyCall = Callable[..., Any]


async def until(eventually: AnyCall, replica: Replica, state: ModelState) -> None:
    await eventually(lambda: replica.state is state)


async def test_states_from_start_to_stop(
    make_replica: AnyCall, eventually: AnyCall, is_gone: AnyCall
) -> None:
    replica, states = make_replica()
    with pytest.raises(ModelNotReady) as caught:
        replica.worker()
    assert caught.value.metadata == {"model": "m", "state": "unloaded"}
    replica.start()
    assert replica.state is ModelState.LOADING
    with pytest.raises(ModelNotReady):
        replica.worker()
    await until(eventually, replica, ModelState.READY)
    pid = replica.worker().pid
    assert replica.status().pid == pid
    await replica.stop()
    assert states[:2] == [ModelState.LOADING, ModelState.READY]
    assert states[-1] is ModelState.UNLOADED
    assert ModelState.READY not in states[2:]
    assert is_gone(pid)
    assert replica.status().pid is None


async def test_status_counts_what_the_worker_does(
    make_replica: AnyCall, eventually: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    replica, _ = make_replica()
    replica.start()
    await until(eventually, replica, ModelState.READY)
    assert replica.status().last_step_age_seconds is None
    stream = replica.worker().submit("abc", sampling, BIG)
    assert replica.status().outstanding_requests == 1
    await read(stream)
    status = replica.status()
    assert (status.outstanding_requests, status.steps, status.generated_tokens) == (0, 4, 4)
    assert status.last_step_age_seconds is not None
    assert 0 <= status.last_step_age_seconds < 30
    assert (status.restarts, status.state) == (0, ModelState.READY)


@pytest.mark.parametrize("end", ["killed", "failed", "hung"])
async def test_lost_worker_is_replaced(
    make_replica: AnyCall,
    eventually: AnyCall,
    sampling: frames.Sampling,
    read: AnyCall,
    is_gone: AnyCall,
    gate: Any,
    end: str,
) -> None:
    gate.open()
    replica, states = make_replica(step_timeout_seconds=0.3 if end == "hung" else 30)
    replica.start()
    await until(eventually, replica, ModelState.READY)
    gate.shut()
    first = replica.worker()
    running = first.submit("!fail" if end == "failed" else "!hang", sampling, BIG)
    if end == "killed":
        os.kill(first.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(read(running), 10)
    await until(eventually, replica, ModelState.LOADING)
    with pytest.raises(ModelNotReady) as caught:
        replica.worker()
    assert caught.value.metadata["state"] == "loading"
    gate.open()
    await until(eventually, replica, ModelState.READY)
    assert is_gone(first.pid)
    assert replica.worker().pid != first.pid
    assert replica.status().restarts == 1
    assert states == [
        *(ModelState.LOADING, ModelState.READY),
        *(ModelState.LOADING, ModelState.READY),
    ]
    assert (await read(replica.worker().submit("again", sampling, BIG)))[0] == "again"


async def test_hang_is_found_though_nobody_waits_for_it(
    make_replica: AnyCall, eventually: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    """Callers with deadlines shorter than the step timeout must not keep a hung worker alive."""
    replica, _ = make_replica(step_timeout_seconds=0.5)
    replica.start()
    await until(eventually, replica, ModelState.READY)
    worker = replica.worker()
    gave_up = 0
    while not worker.lost.done():
        stream = worker.submit("!hang", sampling, BIG)
        try:
            await asyncio.wait_for(read(stream), 0.1)
        except TimeoutError:
            stream.close()
            gave_up += 1
        except WorkerLost:
            break
        assert gave_up < 50
    assert gave_up >= 3
    await eventually(lambda: replica.status().restarts == 1)
    await until(eventually, replica, ModelState.READY)
    assert replica.worker() is not worker


async def test_long_steps_are_no_hang_and_idleness_is_none(
    make_replica: AnyCall, eventually: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    replica, _ = make_replica(step_timeout_seconds=0.3, fake_step_seconds=0.1)
    replica.start()
    await until(eventually, replica, ModelState.READY)
    pid = replica.worker().pid
    for _ in range(2):  # each answer takes longer than the step timeout, each step less
        assert (await read(replica.worker().submit("abcd", sampling, BIG)))[0] == "abcd"
        await asyncio.sleep(0.4)  # as long as would be a hang, were anything owed
    assert replica.worker().pid == pid
    assert replica.status().restarts == 0


async def test_load_that_fails_is_not_tried_again(
    make_replica: AnyCall, eventually: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    replica, states = make_replica(frames.Load(str(tmp_path), ModelSettings(), 100))
    replica.start()
    await eventually(lambda: replica.state is ModelState.FAILED, 60)
    assert states == [ModelState.LOADING, ModelState.FAILED]
    assert new_children() == set()
    with pytest.raises(ModelNotReady) as caught:
        replica.worker()
    assert caught.value.metadata["state"] == "failed"
    assert replica.failure is not None
    assert replica.failure.cause is LoadFailureCause.INVALID_FILES
    assert "openvino_model.xml" in replica.failure.message
    assert "cause" not in caught.value.metadata  # it names files; callers may not see it
    assert replica.status().restarts == 0


async def test_worker_that_dies_while_it_reloads_is_tried_again(
    make_replica: AnyCall, eventually: AnyCall, new_children: AnyCall, gate: Any
) -> None:
    gate.open()
    replica, states = make_replica()
    replica.start()
    await until(eventually, replica, ModelState.READY)
    gate.shut()
    first = replica.worker().pid
    os.kill(first, signal.SIGKILL)
    await until(eventually, replica, ModelState.LOADING)
    await eventually(lambda: new_children() - {first})
    (second,) = new_children() - {first}
    os.kill(second, signal.SIGKILL)
    await eventually(lambda: replica.failure is not None)
    gate.open()
    await until(eventually, replica, ModelState.READY)
    assert ModelState.FAILED not in states
    assert replica.failure is None


@pytest.mark.parametrize(
    ("failure", "cause", "restarts"),
    [
        ("invalid_files", LoadFailureCause.INVALID_FILES, 0),
        ("invalid_settings", LoadFailureCause.INVALID_SETTINGS, 0),
        ("unsupported", LoadFailureCause.UNSUPPORTED, 0),
        ("out_of_memory", LoadFailureCause.OUT_OF_MEMORY, 0),
        ("die", LoadFailureCause.WORKER_DIED, 2),
    ],
)
async def test_first_load_is_tried_again_only_for_what_can_pass(
    make_replica: AnyCall,
    eventually: AnyCall,
    new_children: AnyCall,
    failure: str,
    cause: LoadFailureCause,
    restarts: int,
) -> None:
    replica, states = make_replica(fake_load_failure=failure)
    replica.start()
    await until(eventually, replica, ModelState.FAILED)
    assert states == [ModelState.LOADING, ModelState.FAILED]
    assert replica.failure is not None
    assert replica.failure.cause is cause
    assert replica.status().restarts == restarts
    assert new_children() == set()


async def test_load_that_takes_too_long_is_tried_again(
    load: AnyCall, eventually: AnyCall, new_children: AnyCall
) -> None:
    policy = RestartPolicy(first_delay_seconds=0.01, first_load_attempts=2)
    replica = Replica(
        "m",
        0,
        load(fake_load_seconds=60),
        start_timeout_seconds=0.4,
        step_timeout_seconds=30,
        on_change=lambda: None,
        policy=policy,
    )
    replica.start()
    await until(eventually, replica, ModelState.FAILED)
    assert replica.failure is not None
    assert replica.failure.cause is LoadFailureCause.TIMEOUT
    assert replica.status().restarts == 1
    assert new_children() == set()
    await replica.stop()


async def test_memory_is_that_of_the_process(make_replica: AnyCall, eventually: AnyCall) -> None:
    replica, _ = make_replica(fake_memory_bytes=64 << 20)
    replica.start()
    assert replica.status().memory_bytes is None
    assert await replica.measure_memory() == 0
    await eventually(lambda: replica.status().memory_bytes)  # measured when it is ready
    assert 64 << 20 < replica.status().memory_bytes < 160 << 20
    assert await replica.measure_memory() == replica.status().memory_bytes
    await replica.stop()
    assert replica.status().memory_bytes is None
