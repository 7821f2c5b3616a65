"""Guessing by a second model."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_service.engine import frames
from inference_service.engine.settings import Speculation
from inference_service.worker.batch import Batch
from inference_service.worker.pipeline import OpenVinoPipeline
from tests import tiny_llama
from tests.integration.engine.tiny_engine import (
    BLOCK_BYTES,
    CONTEXT,
    SAMPLED,
    conversation,
    distance,
    load,
    mixed_requests,
    run,
    shifted,
    stepped,
    texts,
)
from tests.integration.test_engine_facts import replace


@pytest.fixture(scope="module")
def guessing(repeating_model: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenVinoPipeline:
    """One whose draft model is often wrong, and whose cache is full when some requests run."""
    draft = tiny_llama.write_ir(tmp_path_factory.mktemp("draft") / "model", mixing=0.1)
    return load(
        repeating_model,
        draft,
        speculation=Speculation(draft_model="draft"),
        kv_cache_bytes=120 * BLOCK_BYTES,
        max_num_batched_tokens=64,
    )


def test_changes_no_completion_and_takes_fewer_steps(
    plain: OpenVinoPipeline, guessing: OpenVinoPipeline
) -> None:
    requests = mixed_requests(60, temperature=0.0)
    said = run(guessing, requests, at_once=20)
    assert texts(said) == texts(run(plain, requests))
    deltas = [m for messages in said.values() for m in messages if isinstance(m, frames.Delta)]
    assert any(delta.tokens > 2 for delta in deltas)


def test_sampling_is_refused(guessing: OpenVinoPipeline) -> None:
    (rejected,) = Batch(guessing, CONTEXT).submit(frames.Submit(1, "x", SAMPLED))
    assert isinstance(rejected, frames.Rejected)
    assert rejected.reason == "UNSUPPORTED"


def test_engine_samples_wrongly(plain: OpenVinoPipeline, guessing: OpenVinoPipeline) -> None:
    """If this fails, the engine has been mended, and `samples` need not be False any more."""
    first, second = conversation(40), conversation(40, 1)
    sampled = replace(SAMPLED, temperature=0.5, top_k=4, top_p=1.0, max_tokens=3)
    configs = {
        pipeline: [
            pipeline._configs.of(replace(sampled, seed=seed), 3, None) for seed in range(300)
        ]
        for pipeline in (plain, guessing)
    }
    seconds = {
        pipeline: [tokens[1] for tokens in stepped(pipeline, first, of_pipeline)]
        for pipeline, of_pipeline in configs.items()
    }
    others = [tokens[1] for tokens in stepped(plain, first, shifted(configs[plain]))]
    assert second != first
    assert distance(seconds[plain], others) < 0.25
    assert distance(seconds[plain], seconds[guessing]) > 0.4
