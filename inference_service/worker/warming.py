"""Compiling grammars beside the steps, into the cache that the steps look into."""

from __future__ import annotations

import hashlib
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from inference_service.engine import frames
from inference_service.worker.constant import constant_pipeline
from inference_service.worker.interface import RequestRefused

_CONFIG_FIELDS = {
    "json_schema": "json_schema",
    "regex": "regex",
    "ebnf": "grammar",
    "structural_tag": "structural_tags_config",
}
# The compiler keeps all that it ever compiled, 7 to 25 MiB for each second that it took.
_RENEW_AFTER_SECONDS = 20.0
_SIMPLEST = frames.Grammar("regex", "a")


def structured_output(grammar: frames.Grammar) -> Any:
    """Return the engine's configuration for a grammar."""
    return genai.StructuredOutputConfig(**{_CONFIG_FIELDS[grammar.kind]: grammar.source})


class GrammarWarming:
    """Compiles grammars in a thread, for a continuous-batching pipeline.

    The pipeline's compiler and its cache belong to the tokenizer, and are shared with a second
    pipeline of no cost. That one generates a token by the grammar, without Python's global lock;
    the step that begins the real sequence then finds the grammar compiled.

    What both reach is locked in the engine, but for two things. The compiler is made anew when the
    number of logits differs from the last: so both have the same. And the list of compile times is
    appended to without a lock: so no step may begin a sequence with a grammar meanwhile.

    Args:
        tokenizer: The pipeline's own.
        end_of_sequence: The id of that token.
        logits: How many the pipeline's model gives.

    """

    def __init__(self, tokenizer: Any, end_of_sequence: int, logits: int) -> None:
        self._end_of_sequence = end_of_sequence
        self._pipeline = constant_pipeline(tokenizer, logits)
        self._renewing = constant_pipeline(tokenizer, logits + 1)  # any other number would do
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="grammar")
        self._compiled: set[bytes] = set()
        self._seconds = 0.0
        self._compile(_SIMPLEST)

    def needs_compiling(self, grammar: frames.Grammar) -> bool:
        """See `Pipeline`."""
        return _digest(grammar) not in self._compiled

    def compile(self, grammar: frames.Grammar) -> Future[None]:
        """See `Pipeline`."""
        if self._seconds > _RENEW_AFTER_SECONDS:
            self._generate(self._renewing, None)
            self._generate(self._pipeline, None)
            self._compiled.clear()
            self._seconds = 0.0
        return self._thread.submit(self._compile, grammar)

    def _compile(self, grammar: frames.Grammar) -> None:
        started = time.monotonic()
        try:
            self._generate(self._pipeline, structured_output(grammar))
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")  # its text names files of the engine; not for callers
            raise RequestRefused("the grammar doesn't compile") from error
        finally:
            self._seconds += time.monotonic() - started
        self._compiled.add(_digest(grammar))

    def _generate(self, pipeline: Any, form: Any) -> None:
        config = genai.GenerationConfig()
        config.max_new_tokens = 1
        config.apply_chat_template = False
        config.eos_token_id = self._end_of_sequence
        if form is not None:
            config.structured_output_config = form
        pipeline.generate(ov.Tensor(np.zeros((1, 1), dtype=np.int64)), config)


def _digest(grammar: frames.Grammar) -> bytes:
    return hashlib.sha256(f"{grammar.kind}:{grammar.source}".encode()).digest()
