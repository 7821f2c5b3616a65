"""A request for several completions: each ends for itself, and the request with the last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import FakeGeneration, FakePipeline
from inference_service.worker.interface import CacheTooSmall, Output, RequestRefused
from tests.unit.inference_service.worker.conftest import SAMPLING

replace = msgspec.structs.replace


class TurningPipeline(FakePipeline):
    """A fake pipeline with a prefix cache, whose answer begins where the seed says."""

    prefix_caching = True
    cache_tokens = 1000

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.added: list[tuple[int, int]] = []

    def add(
        self,
        sequence_id: int,
        token_ids: Sequence[int],
        sampling: frames.Sampling,
        max_tokens: int,
        grammar: frames.Grammar | None = None,
    ) -> FakeGeneration:
        self.added.append((sequence_id, sampling.seed))
        turn = sampling.seed % len(token_ids)
        turned = [*token_ids[turn:], *token_ids[:turn]]
        return super().add(sequence_id, turned, sampling, max_tokens, grammar)


def run(batch: Batch, *requests: frames.Submit) -> list[frames.FromWorker]:
    messages = [message for request in requests for message in batch.submit(request)]
    while batch.busy:
        messages += [m for m in batch.step() if not isinstance(m, frames.Progress)]
    return messages


def of(messages: Iterable[frames.FromWorker], index: int) -> list[frames.FromWorker]:
    """Give what is said of one completion, as if it were the first."""
    kinds = (frames.Delta, frames.Finished)
    return [replace(m, index=0) for m in messages if isinstance(m, kinds) and m.index == index]


@given(
    st.text("abc.", min_size=1, max_size=12),
    st.lists(st.sampled_from(["a", "bc", "c.", "ab.c"]), max_size=2),
    st.integers(1, 5),
    st.integers(0, 2**64 - 1),
    st.booleans(),
)
def test_each_completion_is_what_it_would_be_alone(
    prompt: str, stops: list[str], n: int, seed: int, logprobs: bool
) -> None:
    sampling = replace(SAMPLING, stop=tuple(stops), seed=seed, logprobs=logprobs)
    together = run(Batch(TurningPipeline(), 100), frames.Submit(1, prompt, replace(sampling, n=n)))
    assert [m for m in together if isinstance(m, frames.Started)] == [
        frames.Started(1, len(prompt), 0)
    ]
    for index in range(n):
        own_seed = replace(sampling, seed=(seed + index) % 2**64)
        alone = run(Batch(TurningPipeline(), 100), frames.Submit(1, prompt, own_seed))
        assert of(together, index) == alone[1:]


@pytest.mark.parametrize("prefix_caching", [True, False])
def test_others_wait_for_the_prompt_if_it_can_be_shared(prefix_caching: bool) -> None:
    pipeline = TurningPipeline()
    pipeline.prefix_caching = prefix_caching
    batch = Batch(pipeline, 100)
    batch.submit(frames.Submit(1, "abc", replace(SAMPLING, n=3, seed=5)))
    assert [seed for _, seed in pipeline.added] == ([5] if prefix_caching else [5, 6, 7])
    batch.step()
    assert [seed for _, seed in pipeline.added] == [5, 6, 7]
    assert len({sequence_id for sequence_id, _ in pipeline.added}) == 3


def test_requests_with_several_completions_do_not_mix() -> None:
    batch = Batch(TurningPipeline(), 100)
    requests = [frames.Submit(i, "abc"[i:] + "!", replace(SAMPLING, n=2)) for i in range(3)]
    messages = run(batch, *requests)
    for i, request in enumerate(requests):
        for index in range(2):
            texts = [
                m.text
                for m in messages
                if isinstance(m, frames.Delta) and (m.request_id, m.index) == (i, index)
            ]
            prompt = str(request.prompt)
            turn = index % len(prompt)
            assert "".join(texts) == prompt[turn:] + prompt[:turn]


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_cancel_stops_all_of_them(steps: int) -> None:
    batch = Batch(TurningPipeline(), 100)
    batch.submit(frames.Submit(1, "abc", replace(SAMPLING, n=3, ignore_eos=True)))
    for _ in range(steps):
        batch.step()
    batch.cancel(1)
    rest = run(batch)
    assert rest == []
    assert not batch.busy


class StubbornPipeline(TurningPipeline):
    """A pipeline that fails the second sequence that it is given, in one of the engine's ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self._way = way

    def add(self, *request: object, **more: object) -> FakeGeneration:
        generation = super().add(*request, **more)
        if len(self.added) == 2 and self._way == "refused":
            self._running.remove(generation)
            raise RequestRefused("no more")
        if len(self.added) == 2 and self._way == "given up":
            generation.read = _give_up
        if len(self.added) == 2 and self._way == "dropped":
            self._running.remove(generation)
        return generation


def _give_up() -> list[Output]:
    raise CacheTooSmall


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("refused", "INVALID_ARGUMENT"),
        ("given up", "KV_CACHE_EXHAUSTED"),
        ("dropped", "KV_CACHE_EXHAUSTED"),
    ],
)
def test_failure_of_one_ends_the_request_once(way: str, reason: str) -> None:
    batch = Batch(StubbornPipeline(way), 100)
    messages = run(batch, frames.Submit(1, "abc", replace(SAMPLING, n=3)))
    rejected = [m for m in messages if isinstance(m, frames.Rejected)]
    assert [(m.request_id, m.reason) for m in rejected] == [(1, reason)]
    assert messages[-1] == rejected[0]
    assert not batch.busy


def test_usage_of_each_has_what_the_first_found_cached() -> None:
    batch = Batch(TurningPipeline(), 100)
    request = frames.Submit(1, "abcdefgh", replace(SAMPLING, n=2))
    assert run(batch, request)[0].cached_tokens == 0
    messages = run(batch, replace(request, request_id=2))
    assert messages[0] == frames.Started(2, 8, 7)
    finished = [m for m in messages if isinstance(m, frames.Finished)]
    assert [(m.index, m.cached_tokens) for m in finished] == [(0, 7), (1, 7)]
