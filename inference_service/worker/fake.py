"""The fake engine: a pipeline without a model, for tests of everything around the engine.

Its tokens are the bytes of UTF-8, so every character beyond ASCII is split over tokens, and a few
special tokens, which a prompt names by their text. It answers a prompt with the text between the
last `user: ` and the last `assistant:`, or with the whole prompt, and then ends the sequence. Each
token has the probability 1/`vocabulary_size`. A grammar is taken and changes nothing: it echoes
whatever the grammar says. All completions of a request are the same. With an adapter, `ADAPTER: `
comes first. Nothing is really cached, but where `enable_prefix_caching` is set the worker's account
of cached prefixes is kept, of a cache with a kibibyte for each token.

`fake_load` says how it loads.

A prompt that is `!fail` makes the step raise, as a poisoned pipeline does, and one that is `!hang`
makes the step never end.
"""

from __future__ import annotations

import math
import re
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Future

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.fake_load import fake_load
from inference_service.worker.interface import Output
from inference_service.worker.text import TableDetokenizer

END_OF_SEQUENCE = 256
SPECIAL_TOKENS = {
    text: END_OF_SEQUENCE + 1 + place
    for place, text in enumerate(
        (
            "<|python_tag|>",
            "[TOOL_CALLS]",
            "[ARGS]",
            "[THINK]",
            "[/THINK]",
            "<|start|>",
            "<|channel|>",
            "<|constrain|>",
            "<|message|>",
            "<|end|>",
            "<|call|>",
            "<|tool_call|>",
            "<|/tool_call|>",
        )
    )
}
_SPLIT = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
_BYTES = [bytes([byte]) for byte in range(256)]
_NAMES = [*_BYTES, b"<end>", *(text.encode() for text in SPECIAL_TOKENS)]
_TABLE = [*_BYTES, b"", *(b"" for _ in SPECIAL_TOKENS)]
_BLOCK_TOKENS = 32
_TOKEN_BYTES = 1 << 10
LOGPROB = -math.log(len(_TABLE))


class FakeGeneration:
    """A sequence inside the fake pipeline."""

    def __init__(self, answer: list[int], max_tokens: int, sampling: frames.Sampling) -> None:
        self.answer = answer
        self.max_tokens = max_tokens
        self._ignore_eos = sampling.ignore_eos
        self._logprobs = (LOGPROB,) if sampling.logprobs else ()
        self._made = 0
        self._unread: list[Output] = []
        self.done = False

    def step(self) -> None:
        """Generate one token."""
        again = self._ignore_eos and self.answer
        place = self._made % len(self.answer) if again else self._made
        token = self.answer[place] if place < len(self.answer) else END_OF_SEQUENCE
        self._made += 1
        reason = None
        if token == END_OF_SEQUENCE:
            reason = "stop"
        elif self._made == self.max_tokens:
            reason = "length"
        self.done = reason is not None
        self._unread.append(Output([token], reason, self._logprobs))

    def read(self) -> list[Output]:
        """See `Generation`."""
        unread, self._unread = self._unread, []
        return unread

    def cancel(self) -> None:
        """See `Generation`."""
        self.done = True


class FakePipeline:
    """A pipeline that echoes; see the module.

    Args:
        settings: Those of the fake engine are honoured, and those of the batch, of adapters and
            of prefix caching.

    Raises:
        LoadFailure: See `fake_load`.

    """

    vocabulary_size = len(_TABLE)
    block_tokens = 1
    prefix_caching = False
    preempts = True
    most_sequences: int | None = None
    samples = True

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._memory = fake_load(settings)
        self.adapters = frozenset(settings.adapters)
        self._adapter: str | None = None
        if settings.enable_prefix_caching:
            self.prefix_caching = True
            self.block_tokens = _BLOCK_TOKENS
        self.step_tokens = settings.max_num_batched_tokens
        self._running: list[FakeGeneration] = []

    @property
    def kv_cache_usage(self) -> float:
        """See `Pipeline`: here, how full the batch is."""
        return min(1.0, len(self._running) / self._settings.max_num_seqs)

    @property
    def cache_tokens(self) -> int:
        """See `Pipeline`; without an account of a cache there is none to fill."""
        if not self._settings.enable_prefix_caching:
            return 1 << 40
        return self._settings.kv_cache_bytes // _TOKEN_BYTES

    @property
    def longest_token_bytes(self) -> int:
        """See `Pipeline`."""
        return max(map(len, _NAMES))

    @property
    def pending(self) -> bool:
        """See `Pipeline`."""
        return bool(self._running)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """See `Pipeline`; there are no special tokens to add."""
        del add_special_tokens
        token_ids: list[int] = []
        for piece in _SPLIT.split(text):
            special = SPECIAL_TOKENS.get(piece)
            token_ids += piece.encode() if special is None else [special]
        return token_ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """See `Pipeline`."""
        table = _TABLE if skip_special_tokens else _NAMES
        if any(token_id >= len(table) for token_id in token_ids):
            raise ValueError("a token id is not in the vocabulary")
        return b"".join([table[token_id] for token_id in token_ids]).decode("utf-8", "replace")

    def detokenizer(self, markers: Sequence[str] = ()) -> TableDetokenizer:
        """See `Pipeline`."""
        shown = {SPECIAL_TOKENS[text]: text for text in markers if text in SPECIAL_TOKENS}
        return TableDetokenizer(_TABLE, shown)

    def token_bytes(self, token_id: int) -> bytes:
        """See `Pipeline`."""
        return _NAMES[token_id]

    def needs_compiling(self, grammar: frames.Grammar) -> bool:
        """See `Pipeline`; a grammar changes nothing."""
        del grammar
        return False

    def compile(self, grammar: frames.Grammar) -> Future[None]:
        """See `Pipeline`."""
        del grammar
        compiled: Future[None] = Future()
        compiled.set_result(None)
        return compiled

    def add(
        self,
        sequence_id: int,
        token_ids: Sequence[int],
        sampling: frames.Sampling,
        max_tokens: int,
        grammar: frames.Grammar | None = None,
    ) -> FakeGeneration:
        """See `Pipeline`."""
        del sequence_id, grammar
        prefix = [] if self._adapter is None else list(f"{self._adapter}: ".encode())
        generation = FakeGeneration(prefix + _answer(token_ids), max_tokens, sampling)
        self._running.append(generation)
        return generation

    def use_adapter(self, name: str | None) -> None:
        """See `Pipeline`."""
        if self.pending:
            raise RuntimeError("the fake engine is asked for another adapter while it has work")
        self._adapter = name

    def held_tokens(self, prompt_tokens: int, completion_tokens: int) -> int:
        """See `Pipeline`."""
        return prompt_tokens + completion_tokens

    def step(self) -> None:
        """See `Pipeline`."""
        self._running = [generation for generation in self._running if not generation.done]
        time.sleep(self._settings.fake_step_seconds)  # stands for the forward pass
        for generation in self._running[: self._settings.max_num_seqs]:
            command = generation.answer
            if command == list(b"!fail"):
                raise RuntimeError("the fake engine was asked to fail")
            while command == list(b"!hang"):
                signal.pause()
            generation.step()
        self._running = [generation for generation in self._running if not generation.done]


def _answer(prompt: Sequence[int]) -> list[int]:
    """Return the tokens of what is to be echoed."""
    # A character for each token, so that the text of the one is the tokens of the other.
    text = "".join(chr(token_id) for token_id in prompt if token_id != END_OF_SEQUENCE)
    answer = text.rpartition("user: ")[2].rpartition("\nassistant:")[0] or text
    return [ord(character) for character in answer]
