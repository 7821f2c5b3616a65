"""Cancelled sequences that the engine must not drop yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_service.worker.cache import PrefixCache
from inference_service.worker.interface import CacheTooSmall, Generation


@dataclass(frozen=True, slots=True)
class _Leaving:
    generation: Generation
    prompt: Sequence[int]
    prefill_tokens: int


class LeavingSequences:
    """Sequences that nobody waits for any more, until their prompt is computed.

    The engine enters a block into its prefix cache as soon as a step is to compute a part of it.
    A sequence that is dropped midway leaves a block there whose last tokens were never computed,
    and a later prompt of the same beginning would be answered from that. So the prompt is finished
    first, which is no waste if the same prompt comes again.

    Args:
        cache: The account of the prefix cache.

    """

    def __init__(self, cache: PrefixCache) -> None:
        self._cache = cache
        self._sequences: dict[int, _Leaving] = {}

    def __len__(self) -> int:
        return len(self._sequences)

    @property
    def prefill_tokens(self) -> int:
        """Tokens of their prompts that were to be computed."""
        return sum(leaving.prefill_tokens for leaving in self._sequences.values())

    def add(
        self, sequence_id: int, generation: Generation, prompt: Sequence[int], prefill_tokens: int
    ) -> None:
        """Take a sequence that has had no output.

        Args:
            sequence_id: The engine's id of it.
            generation: The sequence.
            prompt: Its token ids.
            prefill_tokens: How many of them the cache didn't have.

        """
        self._sequences[sequence_id] = _Leaving(generation, prompt, prefill_tokens)

    def take(self, *, pending: bool) -> list[int]:
        """Cancel those whose prompt is computed, and return their ids; all, if nothing is pending.

        Args:
            pending: Whether the engine has any work left.

        """
        gone: list[int] = []
        for sequence_id, leaving in list(self._sequences.items()):
            try:
                computed = bool(leaving.generation.read())
            except CacheTooSmall:
                computed = False
            else:
                if pending and not computed:
                    continue
            if computed:
                self._cache.sequence(leaving.prompt).end()
            leaving.generation.cancel()
            del self._sequences[sequence_id]
            gone.append(sequence_id)
        return gone
