"""What a worker needs of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inference_service.engine import frames
from inference_service.worker.text import Detokenizer


@dataclass(frozen=True, slots=True)
class Output:
    """What a step made of one completion; `finish_reason` is `None` while it goes on."""

    index: int
    token_ids: Sequence[int]
    finish_reason: str | None


class Generation(Protocol):
    """A request inside a pipeline."""

    def read(self) -> list[Output]:
        """Return what was generated since the last read.

        Raises:
            CacheTooSmall: The pipeline gave the request up for want of key-value cache.

        """
        ...

    def cancel(self) -> None:
        """Free its resources at the next step."""
        ...


class CacheTooSmall(Exception):
    """The key-value cache can't hold a request's prompt."""


class TextTooLong(Exception):
    """The tokenizer would cut the text.

    Attributes:
        limit: The most tokens that it gives.

    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the tokenizer cuts texts at {limit} tokens")
        self.limit = limit


class RequestRefused(Exception):
    """The engine refused a request when it was added; the pipeline is unharmed."""


class Pipeline(Protocol):
    """What a worker needs of an engine."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Turn text into token ids.

        Raises:
            TextTooLong: There are more than the tokenizer can give.
            RequestRefused: The tokenizer can't read it.

        """
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Turn token ids into text.

        Raises:
            ValueError: An id is outside the vocabulary.

        """
        ...

    def detokenizer(self) -> Detokenizer:
        """Return a new incremental detokenizer, special tokens skipped."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are."""
        ...

    def add(
        self, request_id: int, token_ids: Sequence[int], sampling: frames.Sampling, max_tokens: int
    ) -> Generation:
        """Add a request, which stops after `max_tokens` tokens.

        Raises:
            RequestRefused: The engine can't do what `sampling` asks.

        """
        ...

    def step(self) -> None:
        """Do one forward pass over the batch. After an exception, the pipeline is unusable."""
        ...

    @property
    def kv_cache_usage(self) -> float:
        """The part of the key-value cache in use, 0 to 1."""
        ...

    @property
    def longest_token_bytes(self) -> int:
        """Bytes of UTF-8 that a token stands for at most."""
        ...

    @property
    def cache_tokens(self) -> int:
        """How many tokens the key-value cache holds."""
        ...

    @property
    def pending(self) -> bool:
        """Whether a step has work to do, if only to free what was cancelled."""
        ...
