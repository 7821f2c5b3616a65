"""Forgetting in long texts."""

from __future__ import annotations

from pathlib import Path

from inference_service.engine import frames
from inference_service.engine.settings import CacheEviction
from tests.integration.engine.tiny_engine import (
    BLOCK_BYTES,
    conversation,
    load,
    mixed_requests,
    run,
    texts,
)
from tests.integration.test_engine_facts import SAMPLING, finished, replace

SIZES = CacheEviction(start_tokens=32, recent_tokens=64, max_tokens=160)


def test_completions_longer_than_the_cache_keep_to_a_part_of_it(tiny_model: Path) -> None:
    pipeline = load(tiny_model, cache_eviction=SIZES, kv_cache_bytes=20 * BLOCK_BYTES)
    assert not pipeline.prefix_caching
    sampling = replace(SAMPLING, max_tokens=900, ignore_eos=True)
    requests = [frames.Submit(number, conversation(40, number), sampling) for number in (1, 2, 3)]
    said = run(pipeline, requests)
    assert [finished(messages).completion_tokens for messages in said.values()] == [900] * 3
    most = pipeline._pipeline.get_metrics().max_cache_usage
    assert most <= 100 * 2 * (160 / 32 + 2) / 20


def test_completions_that_fit_are_unchanged(tiny_model: Path) -> None:
    sampling = replace(SAMPLING, max_tokens=60, ignore_eos=True)
    requests = [frames.Submit(number, conversation(60, number), sampling) for number in (1, 2)]
    pipeline = load(tiny_model, cache_eviction=SIZES)
    assert texts(run(pipeline, requests)) == texts(run(load(tiny_model), requests))


def test_full_cache_changes_nothing(tiny_model: Path) -> None:
    requests = mixed_requests(40)
    small, large = (
        load(tiny_model, cache_eviction=SIZES, kv_cache_bytes=blocks * BLOCK_BYTES)
        for blocks in (40, 2000)
    )
    assert texts(run(small, requests, at_once=20)) == texts(run(large, requests, at_once=20))
