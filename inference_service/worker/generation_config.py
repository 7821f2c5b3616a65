"""What a request asks in the words of OpenVINO GenAI."""

from __future__ import annotations

from typing import Any

import openvino_genai as genai

from inference_service.engine import frames
from inference_service.engine.settings import Speculation
from inference_service.worker.warming import structured_output


class GenerationConfigs:
    """Makes the configurations of a pipeline's sequences.

    Args:
        defaults: The model's own, which says what ends a sequence.
        speculation: How tokens are guessed ahead, if they are.

    """

    def __init__(self, defaults: Any, speculation: Speculation | None) -> None:
        self._defaults = defaults
        self._speculation = speculation

    def plain(self, max_tokens: int) -> Any:
        """Return a configuration of greedy decoding, ended by the model or after so many tokens."""
        config = genai.GenerationConfig()
        config.eos_token_id = self._defaults.eos_token_id
        config.stop_token_ids = self._defaults.stop_token_ids
        config.apply_chat_template = False
        config.max_new_tokens = max_tokens
        if self._speculation is not None:
            config.num_assistant_tokens = self._speculation.tokens
            if self._speculation.draft_model is None:
                config.max_ngram_size = self._speculation.max_ngram_size
        return config

    def of(self, sampling: frames.Sampling, max_tokens: int, grammar: frames.Grammar | None) -> Any:
        """Return the configuration of a sequence; see `Pipeline.add`."""
        config = self.plain(max_tokens)
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
        return config
