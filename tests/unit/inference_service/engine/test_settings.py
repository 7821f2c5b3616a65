"""Settings that can't be used together, and what follows from others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from inference_service.engine.settings import (
    Adapter,
    CacheEviction,
    ModelSettings,
    Speculation,
)

ADAPTERS = {"a": Adapter(file="a.safetensors")}
DRAFT = Speculation(draft_model="small")


@pytest.mark.parametrize(
    "settings",
    [
        {"cache_eviction": CacheEviction(), "enable_prefix_caching": True},
        {"cache_eviction": CacheEviction(), "speculation": Speculation()},
        {"adapters": ADAPTERS, "enable_prefix_caching": True},
        {"speculation": Speculation(), "enable_prefix_caching": True},
        {"speculation": DRAFT, "adapters": ADAPTERS},
        {"reproducible": True, "kv_cache_precision": "f16"},
        {"speculation": Speculation(tokens=8), "max_num_batched_tokens": 8},
    ],
)
def test_contradictions_are_told(settings: dict[str, Any]) -> None:
    (line,) = ModelSettings(**settings).contradictions()
    assert all(key.split(".")[0] in line for key in settings)


@pytest.mark.parametrize(
    ("settings", "cached"),
    [
        ({}, True),
        ({"enable_prefix_caching": False}, False),
        ({"cache_eviction": CacheEviction()}, False),
        ({"adapters": ADAPTERS}, False),
        ({"speculation": Speculation()}, False),
        ({"speculation": Speculation(), "adapters": ADAPTERS}, False),
        ({"reproducible": True, "kv_cache_precision": "f32"}, True),
    ],
)
def test_prefixes_are_cached_unless_that_goes_wrong(settings: dict[str, Any], cached: bool) -> None:
    assert ModelSettings(**settings).contradictions() == []
    assert ModelSettings(**settings).caches_prefixes is cached


@pytest.mark.parametrize("sizes", [{"start_tokens": 33}, {"max_tokens": 160}, {"max_tokens": 700}])
def test_sizes_of_eviction_are_whole_blocks_and_leave_something(sizes: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError, match="cache_eviction"):
        msgspec.convert({"cache_eviction": sizes}, ModelSettings)
