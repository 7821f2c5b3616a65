from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from inference_service.worker.cache import PrefixCache

BLOCK = 4
TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=20)


def held(cache: PrefixCache, *sequences: Sequence[int]) -> PrefixCache:
    for sequence in sequences:
        cache.sequence(sequence).end()
    return cache


@given(TOKENS, TOKENS)
def test_what_is_cached_is_the_common_beginning_by_blocks(
    held_tokens: list[int], prompt: list[int]
) -> None:
    cache = held(PrefixCache(100, BLOCK), held_tokens)
    common = 0
    while common < min(len(held_tokens), len(prompt)) and held_tokens[common] == prompt[common]:
        common += 1
    whole = common - common % BLOCK
    # The last block is shared if the sequence ended in it, and the prompt has all of that.
    shared = common if common == len(held_tokens) else whole
    assert cache.match(prompt) == min(shared, len(prompt) - 1)


def test_one_token_is_always_computed() -> None:
    prompt = list(range(8))
    assert held(PrefixCache(10, BLOCK), prompt).match(prompt) == 7


@given(TOKENS, st.integers(0, 20))
def test_account_does_not_depend_on_how_tokens_come(tokens: list[int], cut: int) -> None:
    cache = PrefixCache(100, BLOCK)
    sequence = cache.sequence(tokens[:cut])
    for token in tokens[cut:]:
        sequence.extend([token])
    sequence.end()
    assert cache.match([*tokens, 7]) == len(tokens)


def test_same_tokens_after_another_beginning_are_another_block() -> None:
    cache = held(PrefixCache(10, BLOCK), [1] * BLOCK + [2] * BLOCK)
    assert cache.match([3] * BLOCK + [2] * BLOCK) == 0


def test_block_used_longest_ago_makes_room() -> None:
    first, second, third = ([number] * BLOCK for number in range(3))
    cache = held(PrefixCache(2, BLOCK), first, second)
    assert cache.match([*first, 9]) == BLOCK  # it is used now
    held(cache, third)
    assert len(cache) == 2
    assert [cache.match([*block, 9]) for block in (first, second, third)] == [BLOCK, 0, BLOCK]


def test_cache_never_grows_beyond_its_capacity() -> None:
    cache = PrefixCache(5, BLOCK)
    for number in range(100):
        held(cache, [number] * 3 * BLOCK)
    assert len(cache) == 5


def test_cache_that_is_off_holds_nothing() -> None:
    cache = held(PrefixCache(0, BLOCK), [1] * 20)
    assert (len(cache), cache.match([1] * 20), cache.enabled) == (0, 0, False)
