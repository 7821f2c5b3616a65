from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from inference_service.domain import Finished, FinishReason, Started
from inference_service.engine import frames
from inference_service.errors import (
    ContextLengthExceeded,
    InvalidArgument,
    ReaderTooSlow,
    WorkerLost,
)

BIG = 1 << 20
AnyCall = Callable[..., Any]


def endless(sampling: frames.Sampling) -> frames.Sampling:
    return msgspec.structs.replace(sampling, ignore_eos=True)


async def test_requests_run_side_by_side(
    start_worker: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    worker = await start_worker()
    streams = [worker.submit(f"number {i}", sampling, BIG) for i in range(20)]
    answers = await asyncio.gather(*map(read, streams))
    assert [text for text, _ in answers] == [f"number {i}" for i in range(20)]
    assert answers[3][1] == Finished(0, FinishReason.STOP, 8, 9, cached_tokens=0)
    assert worker.outstanding == 0
    assert worker.progress.generated_tokens == sum(len(text) + 1 for text, _ in answers)
    assert worker.last_step is not None


async def test_completions_are_counted_until_each_ends(
    start_worker: AnyCall, sampling: frames.Sampling
) -> None:
    worker = await start_worker()
    four = msgspec.structs.replace(sampling, n=4)
    streams = [worker.submit("!hang", four, BIG), worker.submit("b", sampling, BIG)]
    assert (worker.outstanding, worker.outstanding_completions) == (2, 5)
    streams[0].push(Finished(2, FinishReason.STOP, 1, 1))
    assert (worker.outstanding, worker.outstanding_completions) == (2, 4)
    streams[0].close()
    assert (worker.outstanding, worker.outstanding_completions) == (1, 1)
    worker.kill()


async def test_first_event_tells_the_prompt_tokens(
    start_worker: AnyCall, sampling: frames.Sampling
) -> None:
    worker = await start_worker()
    stream = worker.submit((104, 105), sampling, BIG)
    assert (await anext(stream))[0] == Started(2, cached_tokens=0)
    stream.close()


async def test_tokens_and_text(start_worker: AnyCall) -> None:
    worker = await start_worker()
    ids = await worker.encode("né 😀", add_special_tokens=True)
    assert ids == tuple("né 😀".encode())
    assert await worker.decode(ids, skip_special_tokens=True) == "né 😀"
    with pytest.raises(InvalidArgument) as caught:
        await worker.decode((300,), skip_special_tokens=True)
    assert caught.value.metadata == {"field": "token_ids"}
    assert worker.outstanding == 0


async def test_rejection_fails_its_stream_alone(
    start_worker: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    worker = await start_worker()
    too_long = worker.submit("x" * 1000, sampling, BIG)
    fine = worker.submit("fine", sampling, BIG)
    with pytest.raises(ContextLengthExceeded) as caught:
        await read(too_long)
    assert caught.value.metadata == {"prompt_tokens": "1000", "context_length": "1000"}
    assert (await read(fine))[0] == "fine"


async def test_close_stops_the_work_within_two_steps(
    start_worker: AnyCall, sampling: frames.Sampling, eventually: AnyCall
) -> None:
    worker = await start_worker(fake_step_seconds=0.01)
    stream = worker.submit("abc", endless(sampling), BIG)
    await anext(stream)
    await eventually(lambda: worker.progress.steps >= 3)
    steps = worker.progress.steps
    stream.close()
    assert worker.outstanding == 0
    # The step that frees the request is the last, so the batch is empty after it.
    await eventually(lambda: worker.progress.kv_cache_usage == 0)
    assert worker.progress.steps <= steps + 2
    steps = worker.progress.steps
    await worker.encode("x", add_special_tokens=False)  # a turn of the worker's loop
    assert worker.progress.steps == steps


async def test_slow_reader_is_cancelled_and_others_are_not(
    start_worker: AnyCall, sampling: frames.Sampling, read: AnyCall, eventually: AnyCall
) -> None:
    worker = await start_worker()
    slow = worker.submit("slow", endless(sampling), 1024 // 2)
    await eventually(lambda: worker.outstanding == 0)
    with pytest.raises(ReaderTooSlow):
        await read(slow)
    assert (await read(worker.submit("other", sampling, 1024)))[0] == "other"


async def test_killed_worker_fails_all_it_owes(
    start_worker: AnyCall, sampling: frames.Sampling, read: AnyCall, is_gone: AnyCall
) -> None:
    worker = await start_worker(fake_step_seconds=0.01)
    streams = [worker.submit("abc", endless(sampling), BIG) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait_for(worker.lost, 10)
    for stream in streams:
        with pytest.raises(WorkerLost) as caught:
            await asyncio.wait_for(read(stream), 10)
        assert caught.value.metadata == {"model": "m"}
    with pytest.raises(WorkerLost):
        worker.submit("abc", sampling, BIG)
    with pytest.raises(WorkerLost):
        await worker.encode("abc", add_special_tokens=False)
    await worker.stop()
    assert is_gone(worker.pid)


async def test_killed_worker_fails_its_calls(
    start_worker: AnyCall, sampling: frames.Sampling, eventually: AnyCall
) -> None:
    worker = await start_worker()
    worker.submit("!hang", sampling, BIG)
    call = asyncio.create_task(worker.encode("abc", add_special_tokens=False))
    await eventually(lambda: worker.outstanding == 2)
    worker.kill()
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(call, 10)


async def test_cancelled_call_is_forgotten(
    start_worker: AnyCall, sampling: frames.Sampling, eventually: AnyCall
) -> None:
    worker = await start_worker(fake_step_seconds=0.05)
    stream = worker.submit("abc", endless(sampling), BIG)
    call = asyncio.create_task(worker.encode("abc", add_special_tokens=False))
    await eventually(lambda: worker.outstanding == 2)
    call.cancel()
    await asyncio.wait([call])
    assert worker.outstanding == 1
    await anext(stream)  # the answer that nobody waits for is harmless
    assert await worker.encode("d", add_special_tokens=False) == (100,)
    stream.close()


async def test_interrupt_from_the_terminal_is_ignored(
    start_worker: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    worker = await start_worker()
    os.kill(worker.pid, signal.SIGINT)
    assert (await read(worker.submit("still here", sampling, BIG)))[0] == "still here"


async def test_worker_ends_by_itself_when_the_service_hangs_up(
    start_worker: AnyCall, sampling: frames.Sampling, is_gone: AnyCall
) -> None:
    worker = await start_worker()
    stream = worker.submit("abc", endless(sampling), BIG)
    await anext(stream)
    started = time.monotonic()
    await worker.stop()
    assert time.monotonic() - started < 3  # one that doesn't is killed after 5 s
    assert is_gone(worker.pid)
    with pytest.raises(WorkerLost):
        async for _ in stream:
            pass


async def test_hanging_worker_owes_progress_though_its_request_is_cancelled(
    start_worker: AnyCall, sampling: frames.Sampling, eventually: AnyCall
) -> None:
    worker = await start_worker()
    assert worker.silent_seconds == 0
    stream = worker.submit("!hang", sampling, BIG)
    await eventually(lambda: worker.silent_seconds > 0.05)
    stream.close()
    assert worker.outstanding == 0
    silent = worker.silent_seconds
    await eventually(lambda: worker.silent_seconds > silent + 0.05)
    worker.submit("another", sampling, BIG)
    assert worker.silent_seconds > silent  # nor does a new request make it young again
    worker.kill()


async def test_worker_at_rest_owes_nothing(
    start_worker: AnyCall, sampling: frames.Sampling, eventually: AnyCall
) -> None:
    worker = await start_worker(fake_step_seconds=0.01)
    stream = worker.submit("abc", endless(sampling), BIG)
    await anext(stream)
    stream.close()
    await eventually(lambda: worker.silent_seconds == 0)
