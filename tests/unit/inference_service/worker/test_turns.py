"""Requests wait in the worker, not in the engine, while that has prompts enough to compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import FakePipeline
from inference_service.worker.interface import Output

CONTEXT = 1000
STEP_TOKENS = 8
PROMPT = "x" * 2 * STEP_TOKENS  # as many tokens as the engine is to have at a time
OTHER = "y" * 2 * STEP_TOKENS


class Prefilling:
    """A generation whose first output comes after as many steps as its prompt takes."""

    def __init__(self, generation: Any, steps: int) -> None:
        self._generation = generation
        self._steps = steps

    def read(self) -> list[Output]:
        self._steps -= 1
        return self._generation.read() if self._steps <= 0 else []

    def cancel(self) -> None:
        self._generation.cancel()


class Engine(FakePipeline):
    """A fake pipeline that computes prompts and caches them, and notes which it was given."""

    prefix_caching = True
    block_tokens = STEP_TOKENS
    cache_tokens = CONTEXT

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake", max_num_batched_tokens=STEP_TOKENS))
        self.given: list[str] = []

    def add(self, request_id: int, token_ids: Sequence[int], *rest: Any) -> Any:
        self.given.append(bytes(token_ids).decode())
        generation = super().add(request_id, token_ids, *rest)
        return Prefilling(generation, len(token_ids) // STEP_TOKENS)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def batch(engine: Engine) -> Batch:
    return Batch(engine, CONTEXT)


@pytest.fixture
def submit(sampling: frames.Sampling) -> Any:
    def make(request_id: int, prompt: str) -> frames.Submit:
        return frames.Submit(request_id, prompt, sampling)

    return make


def started(messages: list[Any]) -> list[int]:
    return [m.request_id for m in messages if isinstance(m, frames.Started)]


def finished(batch: Batch) -> list[int]:
    """Step until nothing is left; return what finished, in order."""
    ended = []
    while batch.busy:
        ended += [m.request_id for m in batch.step() if isinstance(m, frames.Finished)]
    return ended


def test_short_prompts_go_to_the_engine_at_once(batch: Batch, submit: Any) -> None:
    told = [batch.submit(submit(number, "ab")) for number in range(1, 6)]
    assert [started(messages) for messages in told] == [[1], [2], [3], [4], [5]]


def test_the_next_prompt_goes_when_one_is_computed(
    batch: Batch, engine: Engine, submit: Any
) -> None:
    assert started(batch.submit(submit(1, PROMPT))) == [1]
    assert batch.submit(submit(2, OTHER)) == []
    assert batch.submit(submit(3, "c")) == []  # in turn, though it would be short
    assert len(engine.given) == 1
    assert started(batch.step()) == []
    assert started(batch.step()) == [2]
    assert sorted(finished(batch)) == [1, 2, 3]
    assert engine.given == [PROMPT, OTHER, "c"]


def test_one_that_is_cancelled_while_it_waits_costs_nothing(
    batch: Batch, engine: Engine, submit: Any
) -> None:
    batch.submit(submit(1, PROMPT))
    for number in range(2, 100):
        batch.submit(submit(number, PROMPT))
        batch.cancel(number)
    batch.submit(submit(100, "last"))
    assert sorted(finished(batch)) == [1, 100]
    assert engine.given == [PROMPT, "last"]


def test_those_that_leave_midway_hold_the_next_back(
    batch: Batch, engine: Engine, submit: Any
) -> None:
    for number in range(1, 4):
        batch.submit(submit(number, PROMPT))
        batch.cancel(number)
    assert len(engine.given) == 1  # its prompt is computed to the end; see LeavingSequences
    batch.submit(submit(4, "last"))
    assert finished(batch) == [4]
    assert len(engine.given) == 2
