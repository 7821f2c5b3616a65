"""Engines that must not be given more than the cache holds."""

from __future__ import annotations

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import FakePipeline

BLOCK = 10


class FullCache(Exception):
    """The engine would have to preempt."""


class SmallPipeline(FakePipeline):
    """Fails when the sequences that it has come to hold more than its blocks."""

    preempts = False
    block_tokens = BLOCK
    cache_tokens = 10 * BLOCK
    guesses = 0

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.most_at_once = 0

    def held_tokens(self, prompt_tokens: int, completion_tokens: int) -> int:
        return prompt_tokens + completion_tokens + self.guesses

    def step(self) -> None:
        held = [
            len(generation.answer) + generation.max_tokens + self.guesses
            for generation in self._running
        ]
        self.most_at_once = max(self.most_at_once, len(held))
        if sum(-(-tokens // BLOCK) for tokens in held) > 10:
            raise FullCache
        super().step()


@pytest.fixture
def pipeline() -> SmallPipeline:
    return SmallPipeline()


def run(
    pipeline: SmallPipeline, sampling: frames.Sampling, *sizes: tuple[int, int, int]
) -> list[frames.FromWorker]:
    batch = Batch(pipeline, 1000)
    messages: list[frames.FromWorker] = []
    for number, (prompt, completion, n) in enumerate(sizes, 1):
        asked = msgspec.structs.replace(sampling, max_tokens=completion, n=n, ignore_eos=True)
        messages += batch.submit(frames.Submit(number, "t" * prompt, asked))
    while batch.busy:
        messages += batch.step()
    return messages


def ended(messages: list[frames.FromWorker]) -> list[int]:
    return [m.request_id for m in messages if isinstance(m, frames.Finished)]


def test_requests_wait_until_all_that_they_may_need_is_free(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    messages = run(pipeline, sampling, *[(5, 25, 1)] * 8)
    assert sorted(ended(messages)) == list(range(1, 9))
    assert pipeline.most_at_once == 3  # of 3 blocks each


def test_completions_of_one_request_wait_too(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    messages = run(pipeline, sampling, (5, 35, 5), (5, 5, 1))
    assert ended(messages) == [1] * 4 + [2, 1]  # the small one waits until all of them have begun
    assert pipeline.most_at_once == 2


def test_no_more_are_begun_than_a_step_has_room_for(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    pipeline.most_sequences = 2
    messages = run(pipeline, sampling, *[(1, 5, 2)] * 4)
    assert sorted(ended(messages)) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert pipeline.most_at_once == 2


def test_small_request_does_not_pass_a_large_one(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    messages = run(pipeline, sampling, (5, 45, 1), (5, 90, 1), (5, 5, 1))
    assert ended(messages) == [1, 3, 2] or ended(messages) == [1, 2, 3]
    started = [m.request_id for m in messages if isinstance(m, frames.Started)]
    assert started == [1, 2, 3]


def test_what_guesses_take_counts(pipeline: SmallPipeline, sampling: frames.Sampling) -> None:
    pipeline.guesses = 6
    assert ended(run(pipeline, sampling, (44, 50, 1))) == [1]
    (rejected, *_) = run(pipeline, sampling, (45, 50, 1))
    assert isinstance(rejected, frames.Rejected)
    assert rejected.reason == "KV_CACHE_EXHAUSTED"


def test_room_of_cancelled_requests_comes_back(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    batch = Batch(pipeline, 1000)
    asked = msgspec.structs.replace(sampling, max_tokens=90, ignore_eos=True)
    for number in range(1, 30):
        batch.submit(frames.Submit(number, "t" * 9, asked))
        if number % 3:
            batch.step()
        batch.cancel(number)
    last = msgspec.structs.replace(sampling, max_tokens=91, ignore_eos=True)
    messages = batch.submit(frames.Submit(99, "t" * 9, last))
    while batch.busy:
        messages += batch.step()
    assert ended(messages) == [99]


def test_engine_that_preempts_is_given_all_at_once(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    pipeline.preempts = True
    with pytest.raises(FullCache):
        run(pipeline, sampling, *[(5, 25, 1)] * 8)


def test_sampling_is_refused_where_it_goes_wrong(
    pipeline: SmallPipeline, sampling: frames.Sampling
) -> None:
    pipeline.samples = False
    warm = msgspec.structs.replace(sampling, temperature=0.7)
    (rejected,) = Batch(pipeline, 1000).submit(frames.Submit(1, "hey", warm))
    assert isinstance(rejected, frames.Rejected)
    assert rejected.reason == "UNSUPPORTED"
    assert ended(run(pipeline, sampling, (3, 3, 1))) == [1]
