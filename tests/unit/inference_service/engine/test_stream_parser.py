"""Parsers inside a stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace

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
)
from inference_service.engine.stream import EventStream, Parser
from inference_service.errors import ReaderTooSlow

LIMIT = 1000
END = Finished(0, FinishReason.STOP, 1, 2)


class Words:
    """A parser that gives whole words only, as reasoning, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._held = ""

    def push(self, delta: TextDelta) -> list[Event]:
        self.seen.append(delta.text)
        *words, self._held = (self._held + delta.text).split(" ")
        return [ReasoningDelta(delta.index, word + " ") for word in words]

    def finish(self, finished: Finished) -> list[Event]:
        end = replace(finished, reason=FinishReason.TOOL_CALLS)
        return [TextDelta(finished.index, self._held), end] if self._held else [end]


class Broken(Words):
    """A parser that fails on `!`."""

    def push(self, delta: TextDelta) -> list[Event]:
        if "!" in delta.text:
            raise LookupError("broken")
        return super().push(delta)


class Endless(Words):
    """A parser that forgets to tell the end."""

    def finish(self, finished: Finished) -> list[Event]:
        return super().finish(finished)[:-1]


def make(parser: type[Words], n: int = 1) -> tuple[EventStream, list[bool], list[Words]]:
    closes: list[bool] = []
    made: list[Words] = []

    def new() -> Parser:
        made.append(parser())
        return made[-1]

    return EventStream(LIMIT, closes.append, parser=new, n=n), closes, made


async def test_events_are_the_parsers() -> None:
    stream, closes, _ = make(Words)
    stream.push(Started(1))
    stream.push(TextDelta(0, "a b"))
    assert await anext(stream) == [Started(1), ReasoningDelta(0, "a ")]
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)  # it waits now
    stream.push(TextDelta(0, "c"))  # makes no event
    await asyncio.sleep(0)
    assert not reader.done()
    stream.push(END)
    end = replace(END, reason=FinishReason.TOOL_CALLS)
    assert await asyncio.wait_for(reader, 5) == [TextDelta(0, "bc"), end]
    assert closes == [False]


async def test_each_completion_has_its_own_parser() -> None:
    stream, _, made = make(Words, n=2)
    for index, text in ((0, "a"), (1, "x y"), (0, "b c")):
        stream.push(TextDelta(index, text))
    assert [parser.seen for parser in made] == [["a", "b c"], ["x y"]]
    assert await anext(stream) == [ReasoningDelta(1, "x "), ReasoningDelta(0, "ab ")]


@given(st.lists(st.text("ab ", max_size=3), max_size=20), st.data())
def test_what_a_parser_sees_does_not_depend_on_the_reader(
    pieces: list[str], data: st.DataObject
) -> None:
    async def run() -> list[str]:
        stream, _, made = make(Words)
        stream.push(Started(1))
        for piece in pieces:
            stream.push(TextDelta(0, piece))
            if data.draw(st.booleans()):
                stream.push(TextDelta(1, " "))  # something to read in any case
                await anext(stream)
        stream.push(END)
        return made[0].seen

    assert asyncio.run(run()) == pieces


@pytest.mark.parametrize(
    ("parser", "last", "error"),
    [
        (Broken, TextDelta(0, "!"), LookupError),
        (Endless, END, TypeError),
    ],
)
async def test_parser_that_fails_fails_its_request(
    parser: type[Words], last: Event, error: type[Exception]
) -> None:
    stream, closes, _ = make(parser)
    stream.push(TextDelta(0, "a b"))
    stream.push(last)
    assert closes == [True]  # the worker has to be told
    stream.push(TextDelta(0, "late "))
    assert await anext(stream) == [ReasoningDelta(0, "a ")]
    with pytest.raises(error):
        await anext(stream)


async def test_failure_of_a_parser_wakes_the_reader() -> None:
    stream, _, _ = make(Broken)
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    stream.push(TextDelta(0, "!"))
    with pytest.raises(LookupError):
        await asyncio.wait_for(reader, 5)


async def test_bound_holds_for_what_a_parser_gives_at_the_end() -> None:
    stream, closes, _ = make(Words)
    stream.push(TextDelta(0, "x" * (LIMIT + 1)))
    assert closes == []
    stream.push(END)
    assert closes == [False]  # the worker has no part in it any more
    with pytest.raises(ReaderTooSlow):
        await anext(stream)
