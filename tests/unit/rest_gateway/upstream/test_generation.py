import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.upstream import Generation, MergedGeneration, UpstreamError

LOST = UpstreamError(grpc.StatusCode.UNAVAILABLE, "WORKER_LOST", "lost")


def message(*indexes: int) -> inference_pb2.GenerateResponse:
    return inference_pb2.GenerateResponse(
        events=[inference_pb2.GenerateEvent(index=index) for index in indexes]
    )


class Scripted:
    """Gives what the script says: messages, failures, and events to wait for."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.cancelled = asyncio.Event()

    def __aiter__(self) -> "Scripted":
        return self

    async def __anext__(self) -> inference_pb2.GenerateResponse:
        while self.script:
            step = self.script.pop(0)
            if isinstance(step, asyncio.Event):
                waits = [asyncio.create_task(e.wait()) for e in (step, self.cancelled)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
                if self.cancelled.is_set():
                    raise UpstreamError(grpc.StatusCode.CANCELLED, None, "cancelled here")
            elif isinstance(step, Exception):
                raise step
            else:
                assert isinstance(step, inference_pb2.GenerateResponse)
                return step
        raise StopAsyncIteration

    def cancel(self) -> None:
        self.cancelled.set()


def explain(place: int, error: UpstreamError) -> Exception:
    return ValueError(place, error)


def merged(*scripted: Scripted, completions: int = 1, max_running: int = 8) -> MergedGeneration:
    def start(generation: Scripted) -> Callable[[], Generation]:
        return lambda: generation

    return MergedGeneration([start(one) for one in scripted], completions, max_running, explain)


async def test_indexes_follow_each_other() -> None:
    whole = merged(Scripted(message(0, 1)), Scripted(message(1), message(0)), completions=2)
    indexes = [[event.index for event in part.events] async for part in whole]
    assert sorted(indexes) == [[0, 1], [2], [3]]
    assert indexes.index([3]) < indexes.index([2])


async def test_who_is_slow_holds_nobody_up() -> None:
    go_on = asyncio.Event()
    whole = merged(Scripted(go_on, message(0)), Scripted(message(0), message(0)))
    for _ in range(2):
        assert (await anext(whole)).events[0].index == 1
    go_on.set()
    assert (await anext(whole)).events[0].index == 0
    with pytest.raises(StopAsyncIteration):
        await anext(whole)


async def test_only_so_many_run() -> None:
    started: list[int] = []
    go_on = asyncio.Event()

    def start(place: int) -> Callable[[], Generation]:
        def begin() -> Generation:
            started.append(place)
            return Scripted(message(0), *([go_on] if place == 0 else []))

        return begin

    whole = MergedGeneration([start(place) for place in range(3)], 1, 1, explain)
    await anext(whole)
    assert started == [0]
    go_on.set()
    rest = [part.events[0].index async for part in whole]
    assert (rest, started) == ([1, 2], [0, 1, 2])


async def test_first_failure_ends_all() -> None:
    waiting = Scripted(asyncio.Event())
    also_failing = Scripted(LOST)
    never = Scripted(message(0))
    whole = merged(waiting, Scripted(LOST), also_failing, never, max_running=3)
    with pytest.raises(ValueError) as caught:
        await anext(whole)
    assert caught.value.args in [(1, LOST), (2, LOST)]
    assert waiting.cancelled.is_set()
    assert len(never.script) == 1


async def test_cancelling_ends_who_waits_for_it() -> None:
    scripted = [Scripted(asyncio.Event()), Scripted(asyncio.Event())]
    whole = merged(*scripted)
    reader = asyncio.create_task(anext(whole))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(UpstreamError) as caught:
        await reader
    assert caught.value.status is grpc.StatusCode.CANCELLED
    assert all(one.cancelled.is_set() for one in scripted)
