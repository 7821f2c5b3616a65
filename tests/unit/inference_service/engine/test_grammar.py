"""The grammar checker: verdicts, limits, deaths of its process, and many who ask at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from inference_service.domain import Grammar
from inference_service.engine import frames
from inference_service.engine.grammar import (
    _WAITING_CHECKS,
    GrammarChecker,
    Verdicts,
    wall_seconds,
)
from inference_service.errors import InvalidArgument, QueueFull, Unsupported, WorkerLost

GOOD = Grammar("json_schema", "{}")
BAD = Grammar("json_schema", '{"type": 5', "constraint.json_schema")
SPIN = Grammar("ebnf", "!spin", "constraint.grammar")
HANG = Grammar("ebnf", "!hang", "constraint.grammar")
CRASH = Grammar("ebnf", "!crash", "constraint.grammar")
QUICK = 0.1  # seconds


@pytest.fixture
async def make(
    load: Callable[..., frames.Load],
) -> AsyncIterator[Callable[..., GrammarChecker]]:
    """Give a function that makes a checker of a fake model, which is stopped after the test."""
    async with AsyncExitStack() as stack:

        def checker(seconds: float = 20.0, **options: object) -> GrammarChecker:
            made = GrammarChecker("m", load(grammar_compile_seconds=seconds), **options)
            stack.push_async_callback(made.stop)
            return made

        yield checker


async def test_no_process_before_the_first_grammar_and_one_for_all_after(make) -> None:
    checker = make()
    assert checker.pid is None
    await checker.check(GOOD)
    pid = checker.pid
    assert pid is not None
    await checker.check(Grammar("regex", "[a-z]+"))
    assert checker.pid == pid


async def test_refused_with_the_compilers_message_and_the_field(make) -> None:
    with pytest.raises(InvalidArgument, match="delimiter") as refused:
        await make().check(BAD)
    assert refused.value.metadata["field"] == "constraint.json_schema"


async def test_verdicts_good_and_bad_are_remembered(make) -> None:
    checker = make()
    await checker.check(GOOD)
    with pytest.raises(InvalidArgument):
        await checker.check(BAD)
    os.kill(checker.pid, signal.SIGSTOP)  # whoever asked it now would wait for ever
    async with asyncio.timeout(5):
        await checker.check(GOOD)
        with pytest.raises(InvalidArgument):
            await checker.check(BAD)


@pytest.mark.parametrize(("limit", "wall"), [(0.1, 1), (1, 10), (2, 10), (5, 15), (20, 60)])
def test_time_that_passes_is_bounded_too(limit: float, wall: float) -> None:
    assert wall_seconds(limit) == wall


@pytest.mark.parametrize(("slow", "limit"), [(SPIN, r"0\.1"), (HANG, "1")])
async def test_one_that_takes_too_long_is_refused_and_the_next_checked(
    make, slow: Grammar, limit: str
) -> None:
    checker = make(QUICK)
    await checker.check(GOOD)
    before = checker.pid
    with pytest.raises(InvalidArgument, match=f"takes longer than {limit} s to compile") as refused:
        await checker.check(slow)
    assert refused.value.metadata["field"] == "constraint.grammar"
    await checker.check(Grammar("regex", "a"))
    assert checker.pid not in (None, before)


async def test_waiting_is_not_compiling(make) -> None:
    """Those behind a slow one have all their own time."""
    checker = make(QUICK)
    slow = asyncio.create_task(checker.check(SPIN))
    others = [
        asyncio.create_task(checker.check(Grammar("regex", f"a{number}"))) for number in range(20)
    ]
    await asyncio.gather(*others)
    with pytest.raises(InvalidArgument):
        await slow


async def test_one_that_crashes_the_process_is_refused_and_the_next_checked(make) -> None:
    checker = make()
    with pytest.raises(InvalidArgument, match="could not take it"):
        await checker.check(CRASH)
    assert checker.pid is None
    with pytest.raises(InvalidArgument, match="could not take it"):
        await checker.check(CRASH)
    assert checker.pid is None  # it was remembered
    await checker.check(GOOD)


async def test_a_process_that_somebody_kills_is_no_verdict(make, eventually) -> None:
    checker = make()
    await checker.check(GOOD)
    asked = asyncio.create_task(checker.check(HANG))
    await eventually(lambda: checker._process.outstanding)
    os.kill(checker.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        await asked
    await checker.check(Grammar("regex", "a"))


async def test_many_ask_for_one_grammar_at_once(make, tmp_path: Path) -> None:
    """They share one check, and one that gives up takes it from nobody."""
    checker = make()
    await checker.check(GOOD)
    calls = 0
    inner = checker._process.problem

    async def counted(grammar: frames.Grammar) -> str | None:
        nonlocal calls
        calls += 1
        return await inner(grammar)

    checker._process.problem = counted
    tasks = [asyncio.create_task(checker.check(Grammar("regex", "b"))) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [None] * 9
    assert calls == 1


async def test_a_check_that_nobody_waits_for_is_not_begun(make) -> None:
    checker = make(QUICK)
    await checker.check(GOOD)
    slow = asyncio.create_task(checker.check(SPIN))
    gone = asyncio.create_task(checker.check(HANG))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(InvalidArgument):
        await slow
    async with asyncio.timeout(20):
        await checker.check(Grammar("regex", "c"))
    assert ("ebnf", "!hang") not in checker._verdicts


async def test_the_queue_is_bounded(make) -> None:
    checker = make()
    waiting = [
        asyncio.create_task(checker.check(Grammar("regex", f"a{number}")))
        for number in range(_WAITING_CHECKS)
    ]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await checker.check(Grammar("regex", "one more"))
    await asyncio.gather(*waiting)
    await checker.check(Grammar("regex", "one more"))


async def test_a_model_that_grammars_cannot_be_compiled_for(make, load, tmp_path) -> None:
    checker = GrammarChecker("m", frames.Load(str(tmp_path), load().settings.__class__(), 10))
    with pytest.raises(Unsupported, match="can't be held to a grammar"):
        await checker.check(GOOD)
    await checker.stop()


async def test_a_process_that_does_not_start(make) -> None:
    checker = make(command=(sys.executable, "-c", "pass"))
    with pytest.raises(WorkerLost):
        await checker.check(GOOD)


async def test_stop_ends_what_runs(make, is_gone, eventually) -> None:
    checker = make()
    await checker.check(GOOD)
    pid = checker.pid
    asked = asyncio.create_task(checker.check(HANG))
    await eventually(lambda: checker._process.outstanding)
    await checker.stop()
    with pytest.raises(WorkerLost):
        await asked
    assert is_gone(pid)


async def test_no_process_after_the_end(make) -> None:
    checker = make()
    await checker.check(GOOD)
    await checker.stop()
    with pytest.raises(WorkerLost):
        await checker.check(BAD)
    assert checker.pid is None
    await checker.check(GOOD)  # that is known


def test_verdicts_are_bounded_in_number() -> None:
    verdicts = Verdicts(limit=2)
    for source in "abc":
        verdicts["regex", source] = None
        if source != "c":
            assert verdicts["regex", "a"] is None  # used: the other one is the oldest
    assert ("regex", "a") in verdicts
    assert ("regex", "b") not in verdicts


def test_verdicts_are_bounded_in_bytes() -> None:
    verdicts = Verdicts(limit_bytes=100)
    verdicts["regex", "a" * 10] = "b" * 10
    verdicts["regex", "c" * 10] = None
    assert ("regex", "a" * 10) not in verdicts
    assert verdicts["regex", "c" * 10] is None
    verdicts["regex", "d" * 30] = None
    assert ("regex", "d" * 30) not in verdicts
