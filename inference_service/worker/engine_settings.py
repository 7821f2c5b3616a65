"""A model's settings in the words of OpenVINO and OpenVINO GenAI."""

from __future__ import annotations

from typing import Any

import openvino_genai as genai

from inference_service.engine.settings import ModelSettings
from inference_service.worker.key_value_cache import REPRODUCIBLE_PRECISION

# How many of a prompt's last tokens tell which of its others matter. The engine fails if a step
# ends with fewer of a prompt than that, which happens with any number but this.
_SCORED_PROMPT_TOKENS = 1


def plugin_properties(settings: ModelSettings) -> dict[str, Any]:
    """Return the properties with which a device runs any model.

    Inference threads that are pinned to cores fight the server's other processes for them, so they
    are not. Reproducible models get arithmetic that doesn't depend on the batch: activations that
    are not quantized in groups, and no bfloat16, which the CPU plugin takes by itself where the
    processor has it.
    """
    properties: dict[str, Any] = {}
    if settings.device == "CPU":
        properties["ENABLE_CPU_PINNING"] = False
    if settings.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = settings.threads
    if settings.reproducible:
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        properties["INFERENCE_PRECISION_HINT"] = "f32"
    return properties


def generation_properties(settings: ModelSettings, draft_dir: str | None = None) -> dict[str, Any]:
    """Return the properties of a pipeline that generates, those of its device included.

    Args:
        settings: The model's.
        draft_dir: The folder of its draft model, if it has one.

    """
    properties = plugin_properties(settings)
    if settings.kv_cache_precision != "auto":
        properties["KV_CACHE_PRECISION"] = settings.kv_cache_precision
    elif settings.reproducible:
        properties["KV_CACHE_PRECISION"] = REPRODUCIBLE_PRECISION
    if draft_dir is not None:
        # A copy: what stands in `properties` now is the draft's too.
        draft = genai.draft_model(draft_dir, settings.device, **properties)
        return properties | {"draft_model": draft}
    if settings.speculation is not None:
        properties["prompt_lookup"] = True
    return properties


def scheduler_config(
    settings: ModelSettings, blocks: int, longest_prompt: int | None = None
) -> Any:
    """Return how requests are scheduled.

    Args:
        settings: The model's.
        blocks: Of the key-value cache; a draft model has as many again.
        longest_prompt: Of a model with a draft model, which goes wrong when the computing of a
            prompt is split over steps.

    """
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = blocks
    scheduler.max_num_seqs = settings.max_num_seqs
    scheduler.max_num_batched_tokens = settings.max_num_batched_tokens
    if longest_prompt is not None:
        least = max(longest_prompt, settings.max_num_seqs)  # the engine wants no fewer
        scheduler.max_num_batched_tokens = max(settings.max_num_batched_tokens, least)
    scheduler.dynamic_split_fuse = longest_prompt is None
    scheduler.enable_prefix_caching = settings.caches_prefixes
    if eviction := settings.cache_eviction:
        scheduler.use_cache_eviction = True
        scheduler.cache_eviction_config = genai.CacheEvictionConfig(
            eviction.start_tokens,
            eviction.recent_tokens,
            eviction.max_tokens,
            genai.AggregationMode.NORM_SUM,
            snapkv_window_size=_SCORED_PROMPT_TOKENS,
        )
    return scheduler
