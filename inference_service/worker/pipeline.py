"""The OpenVINO pipeline: the only module that generates with `openvino_genai`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.interface import CacheTooSmall, Output, RequestRefused, TextTooLong
from inference_service.worker.text import Detokenizer, TableDetokenizer, WindowDetokenizer
from inference_service.worker.vocabulary import Vocabulary
from inference_service.worker.warming import GrammarWarming, structured_output

_FINISH_REASONS = {
    genai.GenerationFinishReason.NONE: None,
    genai.GenerationFinishReason.STOP: "stop",
    genai.GenerationFinishReason.LENGTH: "length",
}
_TRUNCATION_PROBE_TOKENS = 1000
_PROBE_REQUEST_ID = 0  # a batch counts from 1
# Tokens in a block of the key-value cache, fixed by the engine for each kind of device.
_CPU_BLOCK_TOKENS = 32
_GPU_BLOCK_TOKENS = 16
# Text whose tokens show whether each token's bytes are its own: spaces, splits, several scripts.
_PROBE = "Hello  world, na\u00efve \U0001f600 \u4e2d\u6587\n\t x = f(1)"


def plugin_properties(settings: ModelSettings) -> dict[str, Any]:
    """Return the OpenVINO properties for a model's settings.

    Inference threads that are pinned to cores fight the server's other processes for them, so they
    are not. Reproducible models get arithmetic that doesn't depend on the batch: activations that
    are not quantized in groups, a key-value cache in floating point, and no bfloat16, which the
    CPU plugin takes by itself where the processor has it.
    """
    properties: dict[str, Any] = {}
    if settings.device == "CPU":
        properties["ENABLE_CPU_PINNING"] = False
    if settings.reproducible:
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        properties["KV_CACHE_PRECISION"] = "f16"
        properties["INFERENCE_PRECISION_HINT"] = "f32"
    return properties


class OpenVinoGeneration:
    """A sequence inside the pipeline; see `Generation`."""

    def __init__(self, handle: Any, *, with_logprobs: bool) -> None:
        self._handle = handle
        self._with_logprobs = with_logprobs

    def read(self) -> list[Output]:
        """See `Generation`."""
        handle = self._handle
        if not handle.can_read():
            if handle.get_status() == genai.GenerationStatus.IGNORED:
                raise CacheTooSmall
            return []
        return [
            Output(
                output.generated_ids,
                _FINISH_REASONS[output.finish_reason],
                output.generated_log_probs if self._with_logprobs else (),
            )
            for output in handle.read().values()
        ]

    def cancel(self) -> None:
        """See `Generation`."""
        self._handle.cancel()


class OpenVinoPipeline:
    """Continuous batching by OpenVINO GenAI; see `Pipeline`.

    Args:
        model_dir: A folder with an OpenVINO IR and its tokenizer.
        settings: The model's settings.
        context_length: The most tokens of prompt and completion together.

    Raises:
        RuntimeError: The model can't be loaded.

    """

    def __init__(self, model_dir: str, settings: ModelSettings, context_length: int) -> None:
        self._device = settings.device
        self._prefix_caching = settings.enable_prefix_caching is not False
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = max(1, settings.kv_cache_bytes >> 30)
        scheduler.max_num_seqs = settings.max_num_seqs
        self.step_tokens = scheduler.max_num_batched_tokens = settings.max_num_batched_tokens
        scheduler.enable_prefix_caching = self._prefix_caching
        self._pipeline = genai.ContinuousBatchingPipeline(
            model_dir, scheduler, settings.device, plugin_properties(settings)
        )
        self._tokenizer = self._pipeline.get_tokenizer()
        self._defaults = self._pipeline.get_config()
        self._truncates_at: int | None = None
        ends = {self._defaults.eos_token_id, *self._defaults.stop_token_ids}
        self._vocabulary = Vocabulary(self._tokenizer, ends)
        self._table_is_exact = self._probe_table()
        self._truncates_at = self._probe_truncation(context_length)
        self._cache_tokens = self._probe_cache()
        self._warming = self._grammar_warming(model_dir)

    @property
    def vocabulary_size(self) -> int:
        """See `Pipeline`."""
        return len(self._vocabulary.table)

    @property
    def adapters(self) -> frozenset[str]:
        """See `Pipeline`."""
        return frozenset()

    @property
    def longest_token_bytes(self) -> int:
        """See `Pipeline`."""
        return max(len(self.token_bytes(i)) for i in range(self.vocabulary_size))

    @property
    def cache_tokens(self) -> int:
        """See `Pipeline`."""
        return self._cache_tokens

    @property
    def block_tokens(self) -> int:
        """See `Pipeline`."""
        return _CPU_BLOCK_TOKENS if self._device == "CPU" else _GPU_BLOCK_TOKENS

    @property
    def prefix_caching(self) -> bool:
        """See `Pipeline`."""
        return self._prefix_caching

    @property
    def kv_cache_usage(self) -> float:
        """See `Pipeline`."""
        return float(self._pipeline.get_metrics().cache_usage) / 100

    @property
    def pending(self) -> bool:
        """See `Pipeline`."""
        return bool(self._pipeline.has_non_finished_requests())

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """See `Pipeline`."""
        try:
            token_ids = self._encode(text, add_special_tokens=add_special_tokens)
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")  # its text names files of the engine; not for callers
            raise RequestRefused("the tokenizer can't read it") from error
        if self._truncates_at and len(token_ids) >= self._truncates_at:
            raise TextTooLong(self._truncates_at)
        return token_ids

    def _encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        inputs = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return inputs.input_ids.data.reshape(-1).tolist()  # type: ignore[no-any-return]

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """See `Pipeline`."""
        wrong = next((i for i in token_ids if i >= self.vocabulary_size), None)
        if wrong is not None:
            raise ValueError(f"{wrong} is not in the vocabulary")
        if not token_ids:
            return ""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=skip_special_tokens))

    def detokenizer(self, markers: Sequence[str] = ()) -> Detokenizer:
        """See `Pipeline`."""
        shown = self._vocabulary.markers(markers)
        if self._table_is_exact:
            return TableDetokenizer(self._vocabulary.table, shown)
        return WindowDetokenizer(self._tokenizer.decode, shown)

    def token_bytes(self, token_id: int) -> bytes:
        """See `Pipeline`."""
        return self._vocabulary.token_bytes(token_id, spaced=not self._table_is_exact)

    def needs_compiling(self, grammar: frames.Grammar) -> bool:
        """See `Pipeline`."""
        return self._warming is not None and self._warming.needs_compiling(grammar)

    def compile(self, grammar: frames.Grammar) -> Future[None]:
        """See `Pipeline`."""
        assert self._warming is not None  # needs_compiling said so
        return self._warming.compile(grammar)

    def add(
        self,
        sequence_id: int,
        token_ids: Sequence[int],
        sampling: frames.Sampling,
        max_tokens: int,
        grammar: frames.Grammar | None = None,
        adapter: str | None = None,
    ) -> OpenVinoGeneration:
        """See `Pipeline`."""
        assert adapter is None  # there are none
        config = genai.GenerationConfig()
        config.eos_token_id = self._defaults.eos_token_id
        config.stop_token_ids = self._defaults.stop_token_ids
        config.apply_chat_template = False
        config.max_new_tokens = max_tokens
        config.min_new_tokens = sampling.min_tokens
        config.ignore_eos = sampling.ignore_eos
        config.presence_penalty = sampling.presence_penalty
        config.frequency_penalty = sampling.frequency_penalty
        config.repetition_penalty = sampling.repetition_penalty
        if sampling.temperature > 0:
            config.do_sample = True
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.min_p = sampling.min_p
            if sampling.top_k is not None:
                config.top_k = sampling.top_k
            config.rng_seed = sampling.seed
        if sampling.logprobs:
            config.logprobs = 1
        if grammar:
            config.structured_output_config = structured_output(grammar)
        prompt = ov.Tensor(np.array([token_ids], dtype=np.int64))
        try:
            handle = self._pipeline.add_request(sequence_id, prompt, config)
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")  # its text names files of the engine; not for callers
            raise RequestRefused("the engine can't combine these parameters") from error
        return OpenVinoGeneration(handle, with_logprobs=sampling.logprobs)

    def step(self) -> None:
        """See `Pipeline`."""
        self._pipeline.step()

    def _probe_cache(self) -> int:
        """Generate a little, and tell the cache's size from the part that its one block fills."""
        config = genai.GenerationConfig()
        config.max_new_tokens = 1
        config.ignore_eos = True
        prompt = ov.Tensor(np.zeros((1, 1), dtype=np.int64))
        handle = self._pipeline.add_request(_PROBE_REQUEST_ID, prompt, config)
        while self.pending:
            self._pipeline.step()
        handle.read_all()  # a request whose handle is gone would not have run
        blocks = round(100 / float(self._pipeline.get_metrics().max_cache_usage))
        return blocks * self.block_tokens

    def _grammar_warming(self, model_dir: str) -> GrammarWarming | None:
        """Return what compiles grammars beside the steps, if the model allows that."""
        logits = _logits(model_dir)
        if logits is None:
            return None
        try:
            return GrammarWarming(self._tokenizer, self._defaults.eos_token_id, logits)
        except RequestRefused:  # it has said why, and no grammar can be used with this tokenizer
            return None

    def _probe_truncation(self, context_length: int) -> int | None:
        """Find the number of tokens at which the tokenizer silently cuts text, if it does.

        Tokenizers made from GGUF files keep the last 8,192 tokens, whatever they are asked.
        """
        word = " a"
        short = len(self._encode(word * _TRUNCATION_PROBE_TOKENS, add_special_tokens=False))
        factor = context_length // short + 2
        long = self._encode(word * _TRUNCATION_PROBE_TOKENS * factor, add_special_tokens=False)
        return len(long) if len(long) < 0.9 * short * factor else None

    def _probe_table(self) -> bool:
        token_ids = self.encode(_PROBE, add_special_tokens=False)
        detokenizer = TableDetokenizer(self._vocabulary.table)
        text = "".join(detokenizer.push([token_id]) for token_id in token_ids)
        return text + detokenizer.flush() == self.decode(token_ids, skip_special_tokens=True)


def _logits(model_dir: str) -> int | None:
    """Return how many logits the model gives for a token, if that is fixed."""
    model = ov.Core().read_model(Path(model_dir, "openvino_model.xml"))
    size = model.output("logits").get_partial_shape()[-1]
    return int(size.get_length()) if size.is_static else None
