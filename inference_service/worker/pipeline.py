"""The OpenVINO pipeline: the only module that generates with `openvino_genai`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker import key_value_cache, sized_pipeline
from inference_service.worker.adapters import Adapters
from inference_service.worker.failures import LoadFailure
from inference_service.worker.interface import CacheTooSmall, Output, RequestRefused, TextTooLong
from inference_service.worker.sized_pipeline import SHORTEST_PROMPT
from inference_service.worker.text import Detokenizer, TableDetokenizer, WindowDetokenizer
from inference_service.worker.vocabulary import Vocabulary
from inference_service.worker.warming import GrammarWarming

_FINISH_REASONS = {
    genai.GenerationFinishReason.NONE: None,
    genai.GenerationFinishReason.STOP: "stop",
    genai.GenerationFinishReason.LENGTH: "length",
}
_TRUNCATION_PROBE_TOKENS = 1000
# Text whose tokens show whether each token's bytes are its own: spaces, splits, several scripts.
_PROBE = "Hello  world, na\u00efve \U0001f600 \u4e2d\u6587\n\t x = f(1)"


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
        draft_dir: The folder of the model that guesses ahead, if the settings name one.

    Raises:
        LoadFailure: The model can't be loaded.
        RuntimeError: The same; only the engine's words tell why.

    """

    def __init__(
        self,
        model_dir: str,
        settings: ModelSettings,
        context_length: int,
        draft_dir: str | None = None,
    ) -> None:
        if problems := settings.contradictions():
            raise LoadFailure("invalid_settings", "; ".join(problems))
        self._settings = settings
        self._drafts = draft_dir is not None
        model = key_value_cache.read_model(model_dir)
        self._adapters = Adapters(settings.adapters, model, model_dir)
        loaded = sized_pipeline.load(
            model_dir,
            model,
            settings,
            longest_prompt=context_length,
            draft_dir=draft_dir,
            properties=self._adapters.properties(),
        )
        self._pipeline, self._configs = loaded.pipeline, loaded.configs
        self._blocks, self.step_tokens = loaded.blocks, loaded.step_tokens
        defaults = self._pipeline.get_config()
        self._tokenizer = self._pipeline.get_tokenizer()
        self._truncates_at: int | None = None
        ends = {defaults.eos_token_id, *defaults.stop_token_ids}
        self._vocabulary = Vocabulary(self._tokenizer, ends)
        try:
            self._table_is_exact = self._probe_table()
        except RequestRefused as error:
            problem = "its tokenizer is missing, or can't be used"
            raise LoadFailure("invalid_files", problem) from error
        self._truncates_at = self._probe_truncation(context_length)
        for adapter in (*self.adapters, None) if self.adapters else ():
            self.use_adapter(adapter)  # one whose matrices don't fit fails here
        self._warming = self._grammar_warming(model, defaults.eos_token_id)

    @property
    def vocabulary_size(self) -> int:
        """See `Pipeline`."""
        return len(self._vocabulary.table)

    @property
    def adapters(self) -> frozenset[str]:
        """See `Pipeline`."""
        return self._adapters.names

    @property
    def longest_token_bytes(self) -> int:
        """See `Pipeline`."""
        return max(len(self.token_bytes(i)) for i in range(self.vocabulary_size))

    @property
    def cache_tokens(self) -> int:
        """See `Pipeline`."""
        return self._blocks * self.block_tokens

    @property
    def block_tokens(self) -> int:
        """See `Pipeline`."""
        return key_value_cache.block_tokens(self._settings.device)

    @property
    def prefix_caching(self) -> bool:
        """See `Pipeline`."""
        return self._settings.caches_prefixes

    @property
    def preempts(self) -> bool:
        """See `Pipeline`."""
        return self._settings.speculation is None and self._settings.cache_eviction is None

    @property
    def most_sequences(self) -> int | None:
        """See `Pipeline`; a step must have room for all guesses of all sequences."""
        speculation = self._settings.speculation
        return self.step_tokens // (speculation.tokens + 1) if speculation else None

    @property
    def samples(self) -> bool:
        """See `Pipeline`."""
        return not self._drafts

    def held_tokens(self, prompt_tokens: int, completion_tokens: int) -> int:
        """See `Pipeline`."""
        held = prompt_tokens + completion_tokens
        if speculation := self._settings.speculation:
            return held + speculation.tokens + 1
        if eviction := self._settings.cache_eviction:
            return min(held, max(prompt_tokens, eviction.max_tokens) + 2 * self.block_tokens)
        return held

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
    ) -> OpenVinoGeneration:
        """See `Pipeline`."""
        config = self._configs.of(sampling, max_tokens, grammar)
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

    def use_adapter(self, name: str | None) -> None:
        """See `Pipeline`."""
        config = self._configs.plain(1)
        config.ignore_eos = True
        config.adapters = self._adapters.config(name)
        self._pipeline.generate([SHORTEST_PROMPT], [config])

    def _grammar_warming(self, model: Any, end_of_sequence: int) -> GrammarWarming | None:
        """Return what compiles grammars beside the steps, if the model allows that."""
        size = model.output("logits").get_partial_shape()[-1]
        if not size.is_static:
            return None
        try:
            return GrammarWarming(self._tokenizer, end_of_sequence, int(size.get_length()))
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
