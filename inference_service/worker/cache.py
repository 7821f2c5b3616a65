"""An account of what the engine's prefix cache holds, which the engine itself doesn't give.

It follows the engine (`BlockManager` of openvino.genai, src/cpp/src/continuous_batching/cache): a
block of tokens is known by its tokens and all before it, is shared by whoever needs it, and is
overwritten when the cache is full, the one taken or found longest ago first. The last block of a
sequence that has ended is kept as it is, filled in part. One token of a prompt is always computed.

Where the two differ, it is on the low side: a prompt counts from its first generated token, while
the engine can share its beginning a little earlier.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

_ROOT = 0


class PrefixCache:
    """The blocks that the engine holds.

    Args:
        capacity_blocks: How many there can be; 0 if prefixes aren't cached.
        block_tokens: Tokens in a block.

    """

    def __init__(self, capacity_blocks: int, block_tokens: int) -> None:
        self._capacity_blocks = capacity_blocks
        self._block_tokens = block_tokens
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def match(self, token_ids: Sequence[int]) -> int:
        """Return how many tokens of a prompt need not be computed, and note that they are used."""
        if not self._capacity_blocks:
            return 0
        chain = _ROOT
        cached = 0
        size = self._block_tokens
        while cached < len(token_ids):
            block = tuple(token_ids[cached : cached + size])
            found = hash((chain, block))
            if found not in self._blocks:
                partial = self._partial(chain, block)
                cached += partial
                break
            self._blocks.move_to_end(found)
            chain = found
            cached += len(block)
        return min(cached, len(token_ids) - 1)

    def _partial(self, chain: int, block: tuple[int, ...]) -> int:
        """Return how much of the block's beginning is held; the engine takes the shortest."""
        for length in range(1, len(block)):
            found = hash((chain, block[:length]))
            if found in self._blocks:
                self._blocks.move_to_end(found)
                return length
        return 0

    def hold(self, block: int) -> None:
        """Add a block by its hash, in place of the one used longest ago if there is no room."""
        if self._capacity_blocks and block not in self._blocks:
            if len(self._blocks) >= self._capacity_blocks:
                self._blocks.popitem(last=False)
            self._blocks[block] = None

    def sequence(self, prompt: Sequence[int]) -> CachedSequence:
        """Begin the account of a sequence whose prompt has been computed."""
        sequence = CachedSequence(self, self._block_tokens)
        if self._capacity_blocks:
            sequence.extend(prompt)
        return sequence

    @property
    def enabled(self) -> bool:
        """Whether prefixes are cached at all."""
        return self._capacity_blocks > 0


class CachedSequence:
    """The blocks of one sequence; it holds them as they fill."""

    def __init__(self, cache: PrefixCache, block_tokens: int) -> None:
        self._cache = cache
        self._block_tokens = block_tokens
        self._chain = _ROOT
        self._open: list[int] = []

    def extend(self, token_ids: Sequence[int]) -> None:
        """Add tokens that the engine has computed."""
        if not self._cache.enabled:
            return
        opened = self._open
        opened.extend(token_ids)
        size = self._block_tokens
        whole = len(opened) - len(opened) % size
        for start in range(0, whole, size):
            self._chain = hash((self._chain, tuple(opened[start : start + size])))
            self._cache.hold(self._chain)
        del opened[:whole]

    def end(self) -> None:
        """Hold what the last block has, as no more comes."""
        if self._open and self._cache.enabled:
            self._cache.hold(hash((self._chain, tuple(self._open))))
