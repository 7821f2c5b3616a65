"""The fake engine: a pipeline without a model, for tests of everything around the engine.

Its tokens are the bytes of UTF-8, so every character beyond ASCII is split over tokens. It answers
a prompt with the text between the last `user: ` and the last `assistant:`, or with the whole
prompt, and then ends the sequence. A prompt that is `!fail` makes the step raise, as a poisoned
pipeline does, and one that is `!hang` makes the step never end.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.interface import Output
from inference_service.worker.text import TableDetokenizer

END_OF_SEQUENCE = 256
_TABLE = (*(bytes([byte]) for byte in range(256)), b"")


class FakeGeneration:
    """A request inside the fake pipeline."""

    def __init__(self, answer: list[int], max_tokens: int, *, ignore_eos: bool) -> None:
        self.answer = answer
        self._max_tokens = max_tokens
        self._ignore_eos = ignore_eos
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
        elif self._made == self._max_tokens:
            reason = "length"
        self.done = reason is not None
        self._unread.append(Output(0, [token], reason))

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
        settings: `max_num_seqs` and `fake_step_seconds` are honoured.

    """

    vocabulary_size = len(_TABLE)

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._running: list[FakeGeneration] = []

    @property
    def kv_cache_usage(self) -> float:
        """See `Pipeline`: here, how full the batch is."""
        return min(1.0, len(self._running) / self._settings.max_num_seqs)

    @property
    def cache_tokens(self) -> int:
        """See `Pipeline`; there is no cache to fill."""
        return 1 << 40

    @property
    def longest_token_bytes(self) -> int:
        """See `Pipeline`."""
        return 1

    @property
    def pending(self) -> bool:
        """See `Pipeline`."""
        return bool(self._running)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """See `Pipeline`; there are no special tokens to add."""
        del add_special_tokens
        return list(text.encode())

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """See `Pipeline`."""
        table = _TABLE if skip_special_tokens else (*_TABLE[:-1], b"<end>")
        if any(token_id >= len(table) for token_id in token_ids):
            raise ValueError("a token id is not in the vocabulary")
        return b"".join([table[token_id] for token_id in token_ids]).decode("utf-8", "replace")

    def detokenizer(self) -> TableDetokenizer:
        """See `Pipeline`."""
        return TableDetokenizer(_TABLE)

    def add(
        self, request_id: int, token_ids: Sequence[int], sampling: frames.Sampling, max_tokens: int
    ) -> FakeGeneration:
        """See `Pipeline`."""
        del request_id
        prompt = bytes(token_id for token_id in token_ids if token_id < END_OF_SEQUENCE)
        answer = prompt.rpartition(b"user: ")[2].rpartition(b"\nassistant:")[0] or prompt
        generation = FakeGeneration(list(answer), max_tokens, ignore_eos=sampling.ignore_eos)
        self._running.append(generation)
        return generation

    def step(self) -> None:
        """See `Pipeline`."""
        self._running = [generation for generation in self._running if not generation.done]
        time.sleep(self._settings.fake_step_seconds)  # stands for the forward pass
        for generation in self._running[: self._settings.max_num_seqs]:
            command = bytes(generation.answer)
            if command == b"!fail":
                raise RuntimeError("the fake engine was asked to fail")
            while command == b"!hang":
                signal.pause()
            generation.step()
        self._running = [generation for generation in self._running if not generation.done]
