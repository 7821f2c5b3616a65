"""Workers with the fake engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from inference_service.domain import Event, Finished, ModelState, TextDelta
from inference_service.engine import frames
from inference_service.engine.replica import Replica, RestartPolicy
from inference_service.engine.settings import ModelSettings
from inference_service.engine.stream import EventStream
from inference_service.engine.worker import Worker

CONTEXT = 1000


@pytest.fixture
def load() -> Callable[..., frames.Load]:
    """Give a function that makes what a fake worker is told to load."""

    def make(**settings: object) -> frames.Load:
        return frames.Load("", ModelSettings(engine="fake", **settings), CONTEXT)

    return make


@pytest.fixture
def sampling() -> frames.Sampling:
    """Greedy sampling with nothing else asked."""
    return frames.Sampling(0.0, 1.0, None, 0.0, 0, 0.0, 0.0, 1.0, None, 0, (), ignore_eos=False)


@pytest.fixture
async def start_worker(
    load: Callable[..., frames.Load],
) -> AsyncIterator[Callable[..., Awaitable[Worker]]]:
    """Give a function that starts a fake worker, which is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> Worker:
            worker = await Worker.start("m", load(**settings), timeout_seconds=20)
            stack.push_async_callback(worker.stop)
            return worker

        yield start


@pytest.fixture
def read() -> Callable[[EventStream], Awaitable[tuple[str, Finished]]]:
    """Give a function that reads a stream to its end: the text, and the last event."""

    async def read_all(stream: EventStream) -> tuple[str, Finished]:
        events: list[Event] = [event async for batch in stream for event in batch]
        assert isinstance(events[-1], Finished)
        return "".join(e.text for e in events if isinstance(e, TextDelta)), events[-1]

    return read_all


@pytest.fixture
async def make_replica(load: Callable[..., frames.Load]) -> AsyncIterator[Callable[..., Any]]:
    """Give a function that makes a replica and the list of its states; it is stopped at last."""
    async with AsyncExitStack() as stack:

        def make(
            what: frames.Load | None = None, *, step_timeout_seconds: float = 30, **settings: object
        ) -> tuple[Replica, list[ModelState]]:
            states: list[ModelState] = []
            replica = Replica(
                "m",
                0,
                what or load(**settings),
                start_timeout_seconds=60,
                step_timeout_seconds=step_timeout_seconds,
                on_change=lambda: states.append(replica.state),
                policy=RestartPolicy(first_delay_seconds=0.05),
            )
            stack.push_async_callback(replica.stop)
            return replica, states

        yield make
