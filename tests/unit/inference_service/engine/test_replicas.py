from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from inference_service.domain import LoadFailureCause, ModelState
from inference_service.engine import frames
from inference_service.engine.failure import LoadError
from inference_service.engine.replica import RestartPolicy
from inference_service.engine.replicas import Replicas
from inference_service.errors import LoadCancelled, ModelNotReady, WorkerLost

BIG = 1 << 20
PROMPT = "p" * 4096
AnyCall = Callable[..., Any]
LOADING, READY, DRAINING = ModelState.LOADING, ModelState.READY, ModelState.DRAINING


@pytest.fixture
async def make(load: AnyCall) -> AsyncIterator[AnyCall]:
    """Give a function that makes replicas and the list of what was told of them; all are stopped.

    Each of its arguments but the options are the settings of one replica.
    """
    async with AsyncExitStack() as stack:

        def make(*settings: dict[str, object], **options: Any) -> tuple[Replicas, list[Any]]:
            told: list[Any] = []
            replicas = Replicas(
                "m",
                [load(**each) for each in settings],
                start_timeout_seconds=60,
                step_timeout_seconds=30,
                on_change=lambda: told.append((replicas.state, replicas.ready)),
                **{"policy": RestartPolicy(first_delay_seconds=0.05)} | options,
            )
            stack.push_async_callback(replicas.stop)
            return replicas, told

        yield make


async def until_ready(eventually: AnyCall, replicas: Replicas, number: int) -> None:
    await eventually(lambda: replicas.ready == number)


async def test_life_of_two(make: AnyCall, eventually: AnyCall, new_children: AnyCall) -> None:
    replicas, told = make({}, {})
    assert (replicas.state, replicas.ready, replicas.pids()) == (ModelState.UNLOADED, 0, [])
    with pytest.raises(ModelNotReady) as caught:
        replicas.worker()
    assert caught.value.metadata["state"] == "unloaded"
    replicas.start()
    assert replicas.state is LOADING
    await replicas.loaded()
    await until_ready(eventually, replicas, 2)
    assert told == [(LOADING, 0), (READY, 1), (READY, 2)]
    assert set(replicas.pids()) == new_children()
    assert [status.replica for status in replicas.statuses()] == [0, 1]
    assert replicas.failure is None
    stop = asyncio.create_task(replicas.stop())
    await eventually(lambda: replicas.state is DRAINING)
    with pytest.raises(ModelNotReady):
        replicas.route(PROMPT, None)
    await stop
    assert told[3:] == [(DRAINING, 0), (ModelState.UNLOADED, 0)]
    assert new_children() == set()
    assert replicas.pids() == []


async def test_one_that_is_ready_is_enough(make: AnyCall, eventually: AnyCall) -> None:
    replicas, told = make({}, {"fake_load_failure": "unsupported"}, {"fake_load_seconds": 0.3})
    replicas.start()
    await replicas.loaded()
    await until_ready(eventually, replicas, 2)
    assert replicas.state is READY
    assert [status.state for status in replicas.statuses()] == [READY, ModelState.FAILED, READY]
    assert replicas.failure is not None
    assert replicas.failure.cause is LoadFailureCause.UNSUPPORTED
    assert {replicas.worker().pid for _ in range(4)} == set(replicas.pids())
    assert told == [(LOADING, 0), (READY, 1), (READY, 2)]


async def test_first_loads_before_the_others(
    make: AnyCall, eventually: AnyCall, new_children: AnyCall, gate: Any
) -> None:
    replicas, _ = make({}, {}, {})
    replicas.start()
    await eventually(new_children)
    assert len(new_children()) == 1
    assert [status.state for status in replicas.statuses()][1:] == [ModelState.UNLOADED] * 2
    gate.open()
    await until_ready(eventually, replicas, 3)
    assert len(new_children()) == 3


async def test_first_can_not_be_loaded(make: AnyCall, new_children: AnyCall) -> None:
    replicas, told = make({"fake_load_failure": "out_of_memory"}, {})
    replicas.start()
    waiting = asyncio.create_task(replicas.loaded())
    with pytest.raises(LoadError, match="asked to fail") as caught:
        await asyncio.wait_for(replicas.loaded(), 20)
    assert caught.value.cause is LoadFailureCause.OUT_OF_MEMORY
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], LoadError)
    assert told == [(LOADING, 0), (ModelState.FAILED, 0)]
    assert new_children() == set()
    with pytest.raises(LoadError):  # also when asked late
        await replicas.loaded()
    with pytest.raises(ModelNotReady) as not_ready:
        replicas.worker()
    assert not_ready.value.metadata["state"] == "failed"


async def test_load_that_dies_is_tried_again_and_then_given_up(make: AnyCall) -> None:
    replicas, _ = make({"fake_load_failure": "die"}, policy=RestartPolicy(0.01))
    replicas.start()
    with pytest.raises(LoadError) as caught:
        await asyncio.wait_for(replicas.loaded(), 20)
    assert caught.value.cause is LoadFailureCause.WORKER_DIED
    assert replicas.statuses()[0].restarts == 2


async def test_stop_while_the_first_loads_is_quick(
    make: AnyCall, eventually: AnyCall, new_children: AnyCall
) -> None:
    replicas, told = make({"fake_load_seconds": 60}, {})
    replicas.start()
    loaded = asyncio.create_task(replicas.loaded())
    await eventually(new_children)
    started = time.monotonic()
    await replicas.stop()
    assert time.monotonic() - started < 1
    assert new_children() == set()
    assert isinstance((await asyncio.gather(loaded, return_exceptions=True))[0], LoadCancelled)
    assert told == [(LOADING, 0), (DRAINING, 0), (ModelState.UNLOADED, 0)]


async def test_stop_while_the_others_load_is_quick(
    make: AnyCall, eventually: AnyCall, new_children: AnyCall
) -> None:
    replicas, _ = make({}, {"fake_load_seconds": 60}, {"fake_load_seconds": 60})
    replicas.start()
    await replicas.loaded()
    await eventually(lambda: len(new_children()) == 3)
    started = time.monotonic()
    await replicas.stop()
    assert time.monotonic() - started < 1.5
    assert new_children() == set()
    replicas.start()  # and again
    await replicas.loaded()
    await eventually(lambda: len(new_children()) == 3)


async def test_least_outstanding_and_idle(
    make: AnyCall, eventually: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    replicas, _ = make({"fake_step_seconds": 0.01}, {"fake_step_seconds": 0.01})
    replicas.start()
    await until_ready(eventually, replicas, 2)
    await asyncio.wait_for(replicas.idle(), 1)
    several = msgspec.structs.replace(sampling, n=3)
    first = replicas.worker()
    streams = [first.submit("abcdefgh", several, BIG)]
    for _ in range(3):
        worker = replicas.worker()
        assert worker is not first
        streams.append(worker.submit("ab", sampling, BIG))
    assert (replicas.outstanding, replicas.outstanding_completions) == (4, 6)
    assert [s.outstanding_requests for s in sorted_by(first.pid, replicas)] == [1, 3]
    idle = asyncio.create_task(replicas.idle())
    for stream in streams[1:]:
        await read(stream)
    assert replicas.outstanding == 1
    assert not idle.done()
    assert replicas.worker() is not first
    await read_all(streams[0])
    await asyncio.wait_for(idle, 1)
    assert replicas.outstanding == 0


def sorted_by(pid: int, replicas: Replicas) -> list[Any]:
    return sorted(replicas.statuses(), key=lambda status: status.pid != pid)


async def read_all(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_lost_worker_is_no_longer_chosen_nor_waited_for(
    make: AnyCall, eventually: AnyCall, sampling: frames.Sampling, gate: Any
) -> None:
    gate.open()
    replicas, told = make({}, {})
    replicas.start()
    await until_ready(eventually, replicas, 2)
    gate.shut()
    lost = replicas.worker()
    stream = lost.submit("!hang", sampling, BIG)
    idle = asyncio.create_task(replicas.idle())
    os.kill(lost.pid, signal.SIGKILL)
    await eventually(lambda: lost.lost.done())
    assert {replicas.worker().pid for _ in range(4)} == set(replicas.pids()) - {lost.pid}
    await asyncio.wait_for(idle, 5)
    with pytest.raises(WorkerLost):
        await anext(stream)
    await eventually(lambda: told[-1] == (READY, 1))
    gate.open()
    await until_ready(eventually, replicas, 2)
    assert told[-3:] == [(READY, 2), (READY, 1), (READY, 2)]
    assert sum(status.restarts for status in replicas.statuses()) == 1


async def test_all_are_lost_and_one_comes_back(
    make: AnyCall, eventually: AnyCall, gate: Any
) -> None:
    gate.open()
    replicas, _ = make({}, {})
    replicas.start()
    await until_ready(eventually, replicas, 2)
    gate.shut()
    for pid in replicas.pids():
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: replicas.state is LOADING)
    with pytest.raises(ModelNotReady) as caught:
        replicas.route(PROMPT, None)
    assert caught.value.metadata["state"] == "loading"
    loaded = asyncio.create_task(replicas.loaded())
    gate.open()
    await asyncio.wait_for(loaded, 20)
    assert replicas.route(PROMPT, None).pid in replicas.pids()


async def test_prompts_go_where_their_prefix_is(make: AnyCall, eventually: AnyCall) -> None:
    replicas, _ = make({}, {})
    replicas.start()
    await until_ready(eventually, replicas, 2)
    first = replicas.route(PROMPT, None)
    assert {replicas.route(PROMPT + str(turn), None) for turn in range(5)} == {first}
    ids = tuple(range(300))
    second = replicas.route(ids, None)
    assert second is not first  # it was chosen least recently
    assert {replicas.route((*ids, turn), None) for turn in range(5)} == {second}
    assert replicas.route(PROMPT, None) is first
    assert replicas.route(PROMPT, "adapter") is not first


@pytest.mark.parametrize(
    ("settings", "options"),
    [({}, {"prefix_affinity": False}), ({"enable_prefix_caching": False}, {})],
)
async def test_prefixes_that_are_not_cached_do_not_count(
    make: AnyCall, eventually: AnyCall, settings: dict[str, object], options: dict[str, object]
) -> None:
    replicas, _ = make(settings, settings, **options)
    replicas.start()
    await until_ready(eventually, replicas, 2)
    assert len({replicas.route(PROMPT, None) for _ in range(2)}) == 2


async def test_worker_that_was_restarted_has_nothing_cached(
    make: AnyCall, eventually: AnyCall
) -> None:
    replicas, _ = make({}, {})
    replicas.start()
    await until_ready(eventually, replicas, 2)
    first = replicas.route(PROMPT, None)
    os.kill(first.pid, signal.SIGKILL)
    await eventually(lambda: sum(status.restarts for status in replicas.statuses()) == 1)
    await until_ready(eventually, replicas, 2)
    # Nobody has the prefix: the one that was chosen least recently is the one never killed.
    survivor = replicas.route(PROMPT, None)
    assert survivor.pid == next(status.pid for status in replicas.statuses() if not status.restarts)
    assert {replicas.route(PROMPT, None) for _ in range(3)} == {survivor}


async def test_memory_of_all_workers(make: AnyCall, eventually: AnyCall) -> None:
    replicas, _ = make({"fake_memory_bytes": 32 << 20}, {"fake_memory_bytes": 96 << 20})
    assert await replicas.measure_memory() == 0
    replicas.start()
    await until_ready(eventually, replicas, 2)
    total = await replicas.measure_memory()
    small, large = (status.memory_bytes or 0 for status in replicas.statuses())
    assert total == small + large
    assert 48 << 20 < large - small < 80 << 20
