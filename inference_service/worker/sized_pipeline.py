"""A continuous-batching pipeline whose key-value cache has the size that the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from inference_service.engine.settings import ModelSettings
from inference_service.worker import key_value_cache
from inference_service.worker.engine_settings import generation_properties, scheduler_config
from inference_service.worker.failures import LoadFailure
from inference_service.worker.generation_config import GenerationConfigs

SHORTEST_PROMPT = ov.Tensor(np.zeros((1, 1), dtype=np.int64))
_NO_SUCH_FORMAT = "expect kvcache type"  # of an assertion of the CPU plugin
_PROBE_REQUEST_ID = 0  # a batch counts from 1


@dataclass(frozen=True, slots=True)
class SizedPipeline:
    """A pipeline of the engine.

    Attributes:
        pipeline: The engine's own.
        configs: What makes the configurations of its sequences.
        blocks: Of its key-value cache.
        step_tokens: The most tokens that a step computes.

    """

    pipeline: Any
    configs: GenerationConfigs
    blocks: int
    step_tokens: int


def load(
    model_dir: str,
    model: Any,
    settings: ModelSettings,
    *,
    longest_prompt: int,
    draft_dir: str | None = None,
    properties: Mapping[str, Any] | None = None,
) -> SizedPipeline:
    """Load a model with as many blocks of cache as its budget holds, and allocate them.

    Args:
        model_dir: The model's folder.
        model: Its graph.
        settings: Its settings.
        longest_prompt: The most tokens of a prompt.
        draft_dir: The folder of its draft model, if it has one.
        properties: Of the pipeline, besides those that follow from the settings.

    Raises:
        LoadFailure: The budget is too small, or the model generates no text.
        RuntimeError: The model can't be loaded for another reason.

    """
    all_properties = {**generation_properties(settings, draft_dir), **(properties or {})}
    of_draft = 0
    if draft_dir is not None:
        of_draft = key_value_cache.block_bytes(key_value_cache.read_model(draft_dir), settings)
    number_format = key_value_cache.precision(model, settings)
    of_model = key_value_cache.block_bytes(model, settings)
    while True:
        blocks = key_value_cache.blocks_in(settings, of_model + of_draft)
        whole_prompt = None if draft_dir is None else longest_prompt
        scheduler = scheduler_config(settings, blocks, whole_prompt)
        try:
            pipeline = genai.ContinuousBatchingPipeline(
                model_dir, scheduler, settings.device, all_properties
            )
        except RuntimeError as error:
            if _NO_SUCH_FORMAT in str(error):
                problem = f"kv_cache_precision: {number_format} is not to be had on this processor"
                raise LoadFailure("invalid_settings", problem) from error
            raise
        configs = GenerationConfigs(pipeline.get_config(), settings.speculation)
        told_bytes = _allocate_cache(pipeline, configs)
        told = key_value_cache.told_block_bytes(told_bytes, blocks, number_format)
        if key_value_cache.blocks_in(settings, told + of_draft) == blocks:
            return SizedPipeline(pipeline, configs, blocks, scheduler.max_num_batched_tokens)
        # The device stores more, or less, than was worked out: once more, with what it says.
        of_model = told
        del pipeline


def _allocate_cache(pipeline: Any, configs: GenerationConfigs) -> int:
    """Generate a little, which makes the engine allocate its cache, and return its bytes."""
    config = configs.plain(1)
    config.ignore_eos = True
    handle = pipeline.add_request(_PROBE_REQUEST_ID, SHORTEST_PROMPT, config)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    handle.read_all()  # a request whose handle is gone would not have run
    return int(pipeline.get_metrics().kv_cache_size_in_bytes)
