"""Which replica of a model takes a request: the least busy, or one that has its prefix cached.

The service has no tokenizer and isn't told what workers cache, so it remembers what it sent where:
prompts are cut into blocks of equal length, each with a hash that covers all before it, and for
each replica the hashes of the latest blocks are kept. The idea is that of SGLang's cache-aware
router and of the prefix scorer of llm-d; that a prefix counts for so much load, instead of beating
it, is from NVIDIA Dynamo.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Prompt: TypeAlias = str | tuple[int, ...]

BLOCK_CHARACTERS = 256
BLOCK_TOKENS = 64  # about as much text
LONGEST_PREFIX_BLOCKS = 512
REMEMBERED_BLOCKS = 4096
# To read a thousand characters again delays a request about as much as one more completion that
# the replica works on at the same time.
BLOCKS_WORTH_A_COMPLETION = 4
# However long the prefix, a replica is not chosen that has more outstanding than the least busy by
# more than this number and this part.
MOST_EXTRA_COMPLETIONS = 4
MOST_EXTRA_PART = 0.5


def prefix_hashes(prompt: Prompt, adapter: str | None) -> list[int]:
    """Return a hash for each whole block of a prompt that covers it and all before it.

    Args:
        prompt: Text, or token ids. The same prompt as text and as ids has nothing in common.
        adapter: What the model is adapted by; caches of different adapters have nothing in common.

    """
    size = BLOCK_CHARACTERS if isinstance(prompt, str) else BLOCK_TOKENS
    whole = min(len(prompt) // size, LONGEST_PREFIX_BLOCKS)
    # Python's own hash is keyed anew in each process, for text, so nobody can aim at collisions.
    last = hash((adapter, size))
    hashes = []
    for start in range(0, whole * size, size):
        last = hash((last, prompt[start : start + size]))
        hashes.append(last)
    return hashes


class PrefixMemory:
    """The blocks that one replica was sent last.

    Args:
        limit: How many are remembered.

    """

    def __init__(self, limit: int = REMEMBERED_BLOCKS) -> None:
        self._limit = limit
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def matched(self, hashes: Sequence[int]) -> int:
        """Return how many blocks of a prompt, from its beginning, were sent before."""
        return sum(1 for _ in itertools.takewhile(self._blocks.__contains__, hashes))

    def add(self, hashes: Sequence[int]) -> None:
        """Remember the blocks of a prompt, and forget those that were of no use for longest.

        Of one prompt the last are forgotten first, as a cache of prefixes does too.
        """
        for block in reversed(hashes[: self._limit]):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._limit:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._blocks.clear()


class Router:
    """Chooses replicas.

    Each replica costs what is outstanding on it, less what of the prompt it need not read again;
    the cheapest is chosen, and among equals the one that was chosen least recently.

    Args:
        replicas: How many there are.
        prefix_affinity: Whether cached prefixes count; without, only load does.
        remembered_blocks: See `PrefixMemory`.

    """

    def __init__(
        self,
        replicas: int,
        *,
        prefix_affinity: bool = True,
        remembered_blocks: int = REMEMBERED_BLOCKS,
    ) -> None:
        self._prefix_affinity = prefix_affinity and replicas > 1
        self._memories = [PrefixMemory(remembered_blocks) for _ in range(replicas)]
        # When each was chosen last, apart for the two, for one request may ask for both.
        self._routed = [0] * replicas
        self._least_busy = [0] * replicas
        self._turns = itertools.count(1)

    def least_busy(self, outstanding: Mapping[int, int]) -> int:
        """Choose for a request whose prompt doesn't matter; arguments are those of `route`."""
        return self._choose(outstanding, {}, self._least_busy)

    def route(self, outstanding: Mapping[int, int], prompt: Prompt, adapter: str | None) -> int:
        """Choose for a prompt, and remember that it was sent there.

        Args:
            outstanding: Completions that wait or run, for each replica that is ready, at least one.
            prompt: Text, or token ids.
            adapter: What the model is adapted by.

        Returns:
            One of the replicas in `outstanding`.

        """
        if not self._prefix_affinity:
            return self._choose(outstanding, {}, self._routed)
        hashes = prefix_hashes(prompt, adapter)
        matched = {replica: self._memories[replica].matched(hashes) for replica in outstanding}
        chosen = self._choose(outstanding, matched, self._routed)
        self._memories[chosen].add(hashes)
        return chosen

    def forget(self, replica: int) -> None:
        """Note that a replica's cache is empty, for its worker is gone."""
        self._memories[replica].clear()

    def _choose(
        self, outstanding: Mapping[int, int], matched: Mapping[int, int], last: list[int]
    ) -> int:
        least = min(outstanding.values())
        most_extra = max(MOST_EXTRA_COMPLETIONS, least * MOST_EXTRA_PART)

        def cost(replica: int) -> tuple[float, int]:
            saved = min(matched.get(replica, 0) / BLOCKS_WORTH_A_COMPLETION, most_extra)
            return outstanding[replica] - saved, last[replica]

        chosen = min(outstanding, key=cost)
        last[chosen] = next(self._turns)
        return chosen
