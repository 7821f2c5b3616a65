"""What a worker needs of an engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from inference_service.engine import frames
from inference_service.worker.text import Detokenizer


@dataclass(frozen=True, slots=True)
class Output:
    """What a step made of a sequence; `finish_reason` is `None` while it goes on.

    Where log-probabilities were asked for, `logprobs` has one for each token.
    """

    token_ids: Sequence[int]
    finish_reason: str | None
    logprobs: Sequence[float] = ()


class Generation(Protocol):
    """One sequence inside a pipeline."""

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

    def detokenizer(self, markers: Sequence[str] = ()) -> Detokenizer:
        """Return a new incremental detokenizer.

        Args:
            markers: The texts of special tokens that are to be seen; all others are skipped, and
                an end-of-sequence token always is. One that the model doesn't have means nothing.

        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; of a special one, those of its name."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are."""
        ...

    @property
    def adapters(self) -> Collection[str]:
        """The names of the model's LoRA adapters."""
        ...

    def needs_compiling(self, grammar: frames.Grammar) -> bool:
        """Whether a step would have to wait for this grammar, and `compile` can spare it that."""
        ...

    def compile(self, grammar: frames.Grammar) -> Future[None]:
        """Begin to compile a grammar beside the steps.

        While one is compiled, no other may be, and no step may begin a sequence with a grammar:
        from the `add` of such a sequence to its first output nothing is to be compiled.

        Returns:
            What ends with the compilation, and with `RequestRefused` if the compiler refuses.

        """
        ...

    def add(
        self,
        sequence_id: int,
        token_ids: Sequence[int],
        sampling: frames.Sampling,
        max_tokens: int,
        grammar: frames.Grammar | None = None,
    ) -> Generation:
        """Add one sequence, which stops after `max_tokens` tokens; `sampling.n` has no meaning.

        Args:
            sequence_id: A number that no other sequence has had.
            token_ids: The prompt.
            sampling: How to choose tokens.
            max_tokens: The most tokens to generate.
            grammar: The form of the completion.

        Raises:
            RequestRefused: The engine can't do what `sampling` asks.

        """
        ...

    def use_adapter(self, name: str | None) -> None:
        """Compute what is added from now on with one of `adapters`, or with none.

        To be called only while nothing is `pending`.
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

    def held_tokens(self, prompt_tokens: int, completion_tokens: int) -> int:
        """How many tokens of the cache a sequence of such a length comes to hold at once."""
        ...

    @property
    def preempts(self) -> bool:
        """Whether sequences may be begun that the cache may come to have no room for.

        The engine then makes room by dropping a sequence, which it computes again later.
        """
        ...

    @property
    def most_sequences(self) -> int | None:
        """How many sequences may be begun; `None` if the engine itself holds back what is more."""
        ...

    @property
    def samples(self) -> bool:
        """Whether tokens can be sampled; if not, only greedy decoding is right."""
        ...

    @property
    def block_tokens(self) -> int:
        """Tokens in a block of the key-value cache."""
        ...

    @property
    def prefix_caching(self) -> bool:
        """Whether prompts with a common beginning share what was computed of it."""
        ...

    @property
    def step_tokens(self) -> int:
        """The most tokens that a step computes."""
        ...

    @property
    def pending(self) -> bool:
        """Whether a step has work to do, if only to free what was cancelled."""
        ...
