"""The size of the key-value cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_service.engine.settings import CacheEviction, Speculation
from inference_service.worker import key_value_cache
from inference_service.worker.failures import LoadFailure
from tests.integration.engine.tiny_engine import BLOCK_BYTES, load


@pytest.mark.parametrize(
    ("precision", "bytes_of_head"),
    [("auto", 64), ("f16", 64), ("f32", 128), ("u8", 44), ("u4", 28)],
)
def test_has_the_bytes_that_the_settings_say(
    tiny_model: Path, precision: str, bytes_of_head: int
) -> None:
    budget = 10_000_000
    pipeline = load(
        tiny_model, reproducible=False, kv_cache_precision=precision, kv_cache_bytes=budget
    )
    block = bytes_of_head * 2 * 2 * 32
    assert pipeline.cache_tokens == budget // block * 32
    told = pipeline._pipeline.get_metrics().kv_cache_size_in_bytes
    assert told == budget // block * block * (2 if precision == "u4" else 1)


@pytest.mark.parametrize("wrong", [0.3, 0.9, 3])
def test_is_corrected_by_what_the_engine_says_of_it(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    worked_out = key_value_cache.block_bytes
    monkeypatch.setattr(
        key_value_cache, "block_bytes", lambda *given: int(worked_out(*given) * wrong)
    )
    assert load(tiny_model, kv_cache_bytes=100 * BLOCK_BYTES).cache_tokens == 100 * 32


def test_is_shared_with_a_draft_model(tiny_model: Path) -> None:
    guessing = Speculation(draft_model="draft")
    pipeline = load(tiny_model, tiny_model, speculation=guessing, kv_cache_bytes=101 * BLOCK_BYTES)
    assert pipeline.cache_tokens == 50 * 32


@pytest.mark.parametrize(
    ("budget", "more", "least"),
    [
        (BLOCK_BYTES - 1, {}, "1 are needed"),
        (22 * BLOCK_BYTES, {"cache_eviction": CacheEviction()}, "23 are needed"),
    ],
)
def test_that_is_too_small_is_refused(
    tiny_model: Path, budget: int, more: dict[str, Any], least: str
) -> None:
    with pytest.raises(LoadFailure, match=least) as raised:
        load(tiny_model, kv_cache_bytes=budget, **more)
    assert raised.value.kind == "invalid_settings"
