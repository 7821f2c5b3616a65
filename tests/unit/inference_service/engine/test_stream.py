from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_service.domain import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from inference_service.engine.stream import EventStream
from inference_service.errors import ReaderTooSlow, WorkerLost

LIMIT = 100
END = Finished(0, FinishReason.STOP, 1, 2)
LOGPROB, OTHER = TokenLogprob(5, b"a", -0.5), TokenLogprob(6, b"\xff", -1.5)


class Recorded:
    """A stream, and what its `on_close` was told."""

    def __init__(self, limit: int = LIMIT, **options: Any) -> None:
        self.closes: list[bool] = []
        self.stream = EventStream(limit, self.closes.append, **options)

    def push(self, *events: Event) -> None:
        for event in events:
            self.stream.push(event)

    async def read_all(self) -> list[list[Event]]:
        return [events async for events in self.stream]


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def text(value: str, index: int = 0) -> TextDelta:
    return TextDelta(index, value)


def thought(value: str) -> ReasoningDelta:
    return ReasoningDelta(0, value)


def piece(call_index: int, arguments: str, index: int = 0) -> ToolCallDelta:
    return ToolCallDelta(index, call_index, None, None, arguments)


async def test_reader_that_keeps_up_gets_each_event_at_once(recorded: Recorded) -> None:
    for event in (Started(3), text("a"), text("b"), END):
        reader = asyncio.create_task(anext(recorded.stream))
        await asyncio.sleep(0)  # it waits now
        recorded.push(event)
        assert await asyncio.wait_for(reader, 5) == [event]
    assert await recorded.read_all() == []


async def test_reader_that_is_behind_gets_all_since_its_last_read(recorded: Recorded) -> None:
    recorded.push(Started(3), text("a"), text("b"))
    assert await anext(recorded.stream) == [Started(3), text("ab")]
    recorded.push(text("c"), text("d"), END)
    assert await anext(recorded.stream) == [text("cd"), END]
    with pytest.raises(StopAsyncIteration):
        await anext(recorded.stream)


async def test_what_adjoins_within_a_completion_is_joined(recorded: Recorded) -> None:
    recorded.push(text("a"), text("x", 1), text("b"), thought("c"), text("y", 1), thought("d"))
    recorded.push(text("e"))
    assert await anext(recorded.stream) == [
        *(text("ab"), text("xy", 1), thought("cd"), text("e")),
    ]
    recorded.push(text("f"))  # nothing is joined to what has been read
    assert await anext(recorded.stream) == [text("f")]


@pytest.mark.parametrize("kind", [TextDelta, ReasoningDelta])
async def test_joined_deltas_keep_their_tokens_and_logprobs(
    recorded: Recorded, kind: type[TextDelta] | type[ReasoningDelta]
) -> None:
    recorded.push(kind(0, "", 1, (LOGPROB,)), kind(0, "a", 2, (LOGPROB, OTHER)))
    assert await anext(recorded.stream) == [kind(0, "a", 3, (LOGPROB, LOGPROB, OTHER))]


async def test_pieces_of_one_call_are_joined(recorded: Recorded) -> None:
    recorded.push(ToolCallDelta(0, 0, "id0", "f", ""), piece(0, "{"), piece(0, "}"))
    recorded.push(ToolCallDelta(0, 1, "id1", "f", "{"), piece(1, "}"), piece(1, "", index=1))
    assert await anext(recorded.stream) == [
        ToolCallDelta(0, 0, "id0", "f", "{}"),
        ToolCallDelta(0, 1, "id1", "f", "{}"),
        piece(1, "", index=1),
    ]


async def test_stream_ends_when_all_completions_have() -> None:
    recorded = Recorded(n=3)
    ends = [replace(END, index=index) for index in (2, 0, 1)]
    for end in ends:
        assert recorded.closes == []
        recorded.push(text("a", end.index), end)
    assert recorded.closes == [False]
    (events,) = await recorded.read_all()
    assert [event for event in events if isinstance(event, Finished)] == ends


@given(st.lists(st.text(max_size=5), max_size=20), st.data())
def test_no_text_is_lost_whatever_the_reader_does(pieces: list[str], data: st.DataObject) -> None:
    async def run() -> str:
        recorded = Recorded(limit=1000)
        seen: list[Event] = []
        recorded.push(Started(1))
        for piece in pieces:
            recorded.push(text(piece))
            if data.draw(st.booleans()):
                seen += await anext(recorded.stream)
        recorded.push(END)
        seen += [event for events in await recorded.read_all() for event in events]
        assert (seen[0], seen[-1]) == (Started(1), END)
        return "".join(event.text for event in seen if isinstance(event, TextDelta))

    assert asyncio.run(run()) == "".join(pieces)


async def test_bound_is_the_most_that_may_wait(recorded: Recorded) -> None:
    recorded.push(text("x" * LIMIT))
    assert await anext(recorded.stream) == [text("x" * LIMIT)]
    recorded.push(text("x" * LIMIT))  # what was read doesn't count
    assert recorded.closes == []


@pytest.mark.parametrize(
    "event",
    [
        thought("x" * (LIMIT + 1)),
        TextDelta(0, "", 9, (LOGPROB,) * (LIMIT // 17 + 1)),
        ToolCallDelta(0, 0, "i", "f", "x" * (LIMIT - 1)),
    ],
)
async def test_everything_that_is_unread_counts(recorded: Recorded, event: Event) -> None:
    recorded.push(event)
    with pytest.raises(ReaderTooSlow):
        await anext(recorded.stream)


async def test_reader_beyond_the_bound_is_cancelled(recorded: Recorded) -> None:
    recorded.push(Started(1), text("x" * (LIMIT - 1)), text("é"))  # é has two bytes
    assert recorded.closes == [True]  # the worker has to be told
    recorded.push(text("late"), END)
    with pytest.raises(ReaderTooSlow) as caught:
        await anext(recorded.stream)
    assert caught.value.metadata == {"limit_bytes": str(LIMIT)}
    recorded.stream.close()
    assert recorded.closes == [True]


async def test_failure_comes_after_what_is_unread(recorded: Recorded) -> None:
    recorded.push(text("a"))
    recorded.stream.fail(WorkerLost("m"))
    assert recorded.closes == [False]
    recorded.push(text("late"))
    assert await anext(recorded.stream) == [text("a")]
    for _ in range(2):
        with pytest.raises(WorkerLost):
            await anext(recorded.stream)


async def test_failure_wakes_a_waiting_reader(recorded: Recorded) -> None:
    reader = asyncio.create_task(recorded.read_all())
    await asyncio.sleep(0)
    recorded.stream.fail(WorkerLost("m"))
    with pytest.raises(WorkerLost):
        async with asyncio.timeout(5):
            await reader


async def test_end_is_told_once(recorded: Recorded) -> None:
    recorded.push(END)
    assert recorded.closes == [False]
    recorded.stream.fail(WorkerLost("m"))  # too late: it has ended well
    assert await recorded.read_all() == [[END]]
    recorded.stream.close()
    recorded.stream.close()
    assert recorded.closes == [False]


async def test_close_cancels_what_runs_once(recorded: Recorded) -> None:
    recorded.push(Started(1), text("a"))
    recorded.stream.close()
    recorded.stream.close()
    assert recorded.closes == [True]
    recorded.push(text("b"))
    assert await recorded.read_all() == []


async def test_cancelled_reader_leaves_the_stream_readable(recorded: Recorded) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(recorded.stream)
    recorded.push(text("a"))
    assert await anext(recorded.stream) == [text("a")]
