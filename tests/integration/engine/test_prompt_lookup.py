"""Guessing by what stands earlier in a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import Speculation
from inference_service.worker.pipeline import OpenVinoPipeline
from tests.integration.engine.tiny_engine import (
    BLOCK_BYTES,
    SAMPLED,
    conversation,
    engine,
    greedy,
    load,
    mixed_requests,
    run,
    stepped_alone,
    texts,
)
from tests.integration.test_engine_facts import finished, replace


@pytest.fixture(scope="module")
def guessing(repeating_model: Path) -> OpenVinoPipeline:
    """One whose cache is full when some of the requests run."""
    return load(
        repeating_model,
        speculation=Speculation(tokens=4),
        kv_cache_bytes=60 * BLOCK_BYTES,
        max_num_batched_tokens=64,
    )


def test_changes_no_completion_and_takes_fewer_steps(
    plain: OpenVinoPipeline, guessing: OpenVinoPipeline
) -> None:
    requests = mixed_requests(60)
    expected = run(plain, requests)
    said = run(guessing, requests, at_once=20)
    assert texts(said) == texts(expected)
    for number, messages in said.items():
        ended, other = finished(messages), finished(expected[number])
        assert ended.completion_tokens == other.completion_tokens
        assert (ended.reason, ended.matched_stop) == (other.reason, other.matched_stop)
    deltas = [m for messages in said.values() for m in messages if isinstance(m, frames.Delta)]
    assert any(delta.tokens > 2 for delta in deltas)


def test_prefixes_are_not_cached(guessing: OpenVinoPipeline) -> None:
    assert not guessing.prefix_caching


def test_each_completion_of_several_is_what_it_would_be_alone(
    plain: OpenVinoPipeline, guessing: OpenVinoPipeline
) -> None:
    sampling = replace(SAMPLED, n=6, max_tokens=60, ignore_eos=True)
    requests = [frames.Submit(number, conversation(300, number), sampling) for number in (1, 2)]
    assert texts(run(guessing, requests), 6) == texts(run(plain, requests), 6)


def test_engine_enters_wrong_guesses_into_its_prefix_cache(repeating_model: Path) -> None:
    """If this fails, the engine has been mended, and prefixes may be cached."""
    prompt = conversation(50)
    steps: list[int] = []
    for properties in ({}, {"prompt_lookup": True}):
        pipeline = engine(repeating_model, prefixes=True, step_tokens=12, **properties)
        guessed = {"num_assistant_tokens": 5, "max_ngram_size": 3} if properties else {}
        made = stepped_alone(pipeline, prompt, **guessed)
        tensor = ov.Tensor(np.array([[*prompt, *made, 7]], dtype=np.int64))
        handle = pipeline.add_request(1, tensor, greedy(1, **guessed))
        steps.append(0)
        while pipeline.has_non_finished_requests():
            pipeline.step()
            steps[-1] += 1
        assert handle.can_read()
    without, with_guesses = steps
    assert without <= 2
    assert with_guesses > 3  # not found, as what is found is what was guessed
