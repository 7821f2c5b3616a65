"""The engine with a small model: through a worker's batch, and without the worker."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.pipeline import OpenVinoPipeline
from tests import tiny_llama
from tests.integration.test_engine_facts import SAMPLING, replace, text_of

CONTEXT = tiny_llama.CONTEXT_LENGTH
SAMPLED = replace(SAMPLING, temperature=0.9, top_p=0.95)
BLOCK_BYTES = 2 * 2 * 2 * 16 * 4 * 32  # layers, key and value, heads, numbers of f32, tokens
FORM = frames.Grammar("regex", "[a-z ]{5,60}")


def load(model: Path, draft: Path | None = None, **settings: Any) -> OpenVinoPipeline:
    values = {"reproducible": True, "kv_cache_bytes": 400 * BLOCK_BYTES} | settings
    return OpenVinoPipeline(
        str(model), ModelSettings(**values), CONTEXT, str(draft) if draft else None
    )


def conversation(length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(random.Random(seed).choices(range(100, 1000), k=length))


def run(
    pipeline: OpenVinoPipeline, requests: list[frames.Submit], at_once: int = 100
) -> dict[int, list[frames.FromWorker]]:
    """Run requests, each begun when fewer than `at_once` are running; return what is said."""
    batch = Batch(pipeline, CONTEXT)
    said: dict[int, list[frames.FromWorker]] = {request.request_id: [] for request in requests}
    left = {request.request_id: request.sampling.n for request in requests}
    coming = list(requests)
    running: set[int] = set()
    messages: list[frames.FromWorker] = []
    while coming or running:
        while coming and len(running) < at_once:
            running.add(coming[0].request_id)
            messages += batch.submit(coming.pop(0))
        messages += batch.advance()
        if batch.busy:
            messages += batch.step()
        for message in messages:
            if isinstance(message, frames.Progress):
                for number in running:
                    said[number].append(message)
                continue
            said[message.request_id].append(message)
            if isinstance(message, frames.Finished):
                left[message.request_id] -= 1
            if isinstance(message, frames.Rejected):
                left[message.request_id] = 0
            if not left[message.request_id]:
                running.discard(message.request_id)
        messages.clear()
    return said


def texts(said: dict[int, list[frames.FromWorker]], n: int = 1) -> list[list[str]]:
    return [[text_of(messages, index) for index in range(n)] for messages in said.values()]


def mixed_requests(count: int, *, temperature: float = 0.9) -> list[frames.Submit]:
    """Requests of many lengths and kinds, whose prompts share beginnings."""
    at_random = random.Random(4)
    requests = []
    for number in range(1, count + 1):
        prompt = conversation(at_random.choice([1, 5, 50, 300, 700]), at_random.randrange(3))
        sampling = replace(
            SAMPLING,
            max_tokens=at_random.randrange(1, 80),
            temperature=at_random.choice([0.0, temperature]),
            repetition_penalty=at_random.choice([1.0, 1.2]),
            stop=at_random.choice([(), ("e ",)]),
            logprobs=at_random.choice([True, False]),
            ignore_eos=True,
            seed=number,
        )
        grammar = FORM if number % 7 == 0 else None
        if grammar:
            sampling = replace(sampling, ignore_eos=False)
        requests.append(frames.Submit(number, prompt, sampling, grammar))
    return requests


STATIC = genai.AdapterConfig.Mode.MODE_STATIC
DYNAMIC = genai.AdapterConfig.Mode.MODE_DYNAMIC


def engine(
    model: Path, *, prefixes: bool = False, step_tokens: int = 256, **properties: Any
) -> Any:
    """Return a pipeline whose tokens don't depend on what else runs."""
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = 100
    scheduler.max_num_batched_tokens = step_tokens
    scheduler.max_num_seqs = min(step_tokens, 64)
    scheduler.enable_prefix_caching = prefixes
    exact = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0, "KV_CACHE_PRECISION": "f32"}
    return genai.ContinuousBatchingPipeline(str(model), scheduler, "CPU", exact | properties)


def greedy(tokens: int, **more: Any) -> Any:
    """Return a configuration for exactly so many tokens."""
    config = genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, **more)
    config.apply_chat_template = False
    return config


def stepped_alone(pipeline: Any, prompt: tuple[int, ...], **more: Any) -> list[int]:
    """Generate 20 tokens with nothing else in the batch."""
    (tokens,) = _stepped(pipeline, prompt, [greedy(20, **more)])
    return tokens


def stepped(pipeline: OpenVinoPipeline, prompt: tuple[int, ...], configs: list[Any]) -> list[Any]:
    """Generate with each configuration, a few at a time, so that the cache is never full."""
    return [
        tokens
        for start in range(0, len(configs), 10)
        for tokens in _stepped(pipeline._pipeline, prompt, configs[start : start + 10])
    ]


_request_ids: Iterator[int] = iter(range(1 << 32, 1 << 33))


def _stepped(pipeline: Any, prompt: tuple[int, ...], configs: list[Any]) -> list[list[int]]:
    tensor = ov.Tensor(np.array([prompt], dtype=np.int64))
    handles = [pipeline.add_request(next(_request_ids), tensor, config) for config in configs]
    while pipeline.has_non_finished_requests():
        pipeline.step()
    return [handle.read_all()[0].generated_ids for handle in handles]


def shifted(configs: list[Any]) -> list[Any]:
    """Return the same with other seeds."""
    for config in configs:
        config.rng_seed += 10_000
    return configs


def distance(some: list[int], others: list[int]) -> float:
    """Return the part by which two samples differ: 0 if they are alike, 1 if all is different."""
    counts = [np.bincount(sample, minlength=1024) / len(sample) for sample in (some, others)]
    return float(np.abs(counts[0] - counts[1]).sum() / 2)
