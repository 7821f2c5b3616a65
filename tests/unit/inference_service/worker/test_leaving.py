from __future__ import annotations

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import FakeGeneration, FakePipeline


class PrefillingPipeline(FakePipeline):
    """A fake pipeline with a prefix cache, that needs steps for a prompt before its first token."""

    prefix_caching = True
    cache_tokens = 1000
    prefill_steps = 3

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.generations: list[FakeGeneration] = []

    def add(self, *request: object, **more: object) -> FakeGeneration:
        generation = super().add(*request, **more)
        self.generations.append(generation)
        return generation

    def step(self) -> None:
        self.prefill_steps -= 1
        if self.prefill_steps < 0:
            super().step()


@pytest.fixture
def pipeline() -> PrefillingPipeline:
    return PrefillingPipeline()


def test_prompt_of_a_cancelled_request_is_finished_and_nothing_is_said(
    pipeline: PrefillingPipeline, sampling: frames.Sampling
) -> None:
    batch = Batch(pipeline, 100)
    request = frames.Submit(1, "abcd", msgspec.structs.replace(sampling, n=3, ignore_eos=True))
    batch.submit(request)
    batch.step()
    batch.cancel(1)
    steps = 0
    while batch.busy:
        assert [type(m) for m in batch.step()] == [frames.Progress]
        steps += 1
        assert not pipeline.generations[0].done or pipeline.prefill_steps < 0
    assert steps == 4  # two more for the prompt, one for a token, one that drops it
    assert len(pipeline.generations) == 1  # its other completions were not begun
    # What was computed of it is there for the next.
    (started,) = batch.submit(msgspec.structs.replace(request, request_id=2))
    assert started == frames.Started(2, 4, 3)


def test_request_that_has_begun_to_answer_is_dropped_at_once(
    pipeline: PrefillingPipeline, sampling: frames.Sampling
) -> None:
    pipeline.prefill_steps = 0
    batch = Batch(pipeline, 100)
    batch.submit(frames.Submit(1, "abcd", msgspec.structs.replace(sampling, ignore_eos=True)))
    batch.step()
    batch.cancel(1)
    assert pipeline.generations[0].done
