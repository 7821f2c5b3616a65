from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from inference_service.engine.router import (
    BLOCK_CHARACTERS,
    BLOCK_TOKENS,
    LONGEST_PREFIX_BLOCKS,
    MOST_EXTRA_COMPLETIONS,
    MOST_EXTRA_PART,
    PrefixMemory,
    Prompt,
    Router,
    prefix_hashes,
)


def text(name: str, blocks: int) -> str:
    """Make a text of so many blocks, which has no block in common with another name's."""
    return "".join(f"{name}{place:>{BLOCK_CHARACTERS - len(name)}}" for place in range(blocks))


# --- hashes ------------------------------------------------------------------------------------


def test_only_whole_blocks_have_a_hash() -> None:
    assert prefix_hashes("a" * (BLOCK_CHARACTERS - 1), None) == []
    assert len(prefix_hashes("a" * BLOCK_CHARACTERS, None)) == 1
    assert prefix_hashes("a" * (BLOCK_CHARACTERS + 1), None) == prefix_hashes(
        "a" * BLOCK_CHARACTERS, None
    )
    assert len(prefix_hashes(tuple(range(2 * BLOCK_TOKENS + 1)), None)) == 2
    assert prefix_hashes("", None) == prefix_hashes((), None) == []


def test_a_hash_covers_all_before_it() -> None:
    one, other = prefix_hashes("a" + "x" * 767, None), prefix_hashes("b" + "x" * 767, None)
    assert not set(one) & set(other)
    assert len(set(prefix_hashes("x" * 768, None))) == 3  # equal blocks at different places


def test_adapters_have_nothing_in_common() -> None:
    prompt = text("a", 3)
    hashes = [prefix_hashes(prompt, adapter) for adapter in (None, "", "one", "two")]
    assert len({h for some in hashes for h in some}) == 12


def test_what_is_hashed_of_a_prompt_is_bounded() -> None:
    assert len(prefix_hashes("a" * BLOCK_CHARACTERS * (LONGEST_PREFIX_BLOCKS + 9), None)) == (
        LONGEST_PREFIX_BLOCKS
    )


@given(
    st.one_of(
        st.tuples(*[st.text(max_size=1200)] * 3), st.tuples(*[st.lists(st.integers(0, 9))] * 3)
    )
)
def test_prompts_have_as_many_hashes_in_common_as_whole_blocks(parts: tuple[str, str, str]) -> None:
    common, *ends = parts
    one, other = (common + end for end in ends)
    size = BLOCK_CHARACTERS if isinstance(one, str) else BLOCK_TOKENS
    same = next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    prompts: list[Prompt] = [p if isinstance(p, str) else tuple(p) for p in (one, other)]
    first, second = (prefix_hashes(prompt, None) for prompt in prompts)
    assert sum(a == b for a, b in zip(first, second, strict=False)) == same // size


# --- memory ------------------------------------------------------------------------------------


def test_memory_forgets_the_end_of_the_oldest_prompt_first() -> None:
    memory = PrefixMemory(limit=6)
    old, new = [1, 2, 3, 4], [11, 12, 13]
    memory.add(old)
    memory.add(new)
    assert (memory.matched(old), memory.matched(new), len(memory)) == (3, 3, 6)
    memory.add([1, 2])  # used again
    memory.add([21, 22, 23])
    assert (memory.matched(old), memory.matched(new)) == (2, 1)


def test_memory_keeps_the_beginning_of_a_prompt_longer_than_itself() -> None:
    memory = PrefixMemory(limit=3)
    memory.add([1, 2, 3, 4, 5])
    assert memory.matched([1, 2, 3, 4, 5]) == 3


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=30), st.integers(1, 10))
def test_memory_is_bounded_and_has_what_came_last(prompts: list[list[int]], limit: int) -> None:
    memory = PrefixMemory(limit)
    for prompt in prompts:
        memory.add(prompt)
        assert len(memory) <= limit
        if len(set(prompt)) == len(prompt):
            assert memory.matched(prompt) == min(len(prompt), limit)


# --- router ------------------------------------------------------------------------------------


def test_same_prefix_stays_where_it_is() -> None:
    router = Router(3)
    first = router.route({0: 0, 1: 0, 2: 0}, text("a", 8), None)
    again = {router.route({0: 0, 1: 0, 2: 0}, text("a", 8) + f"turn {n}", None) for n in range(20)}
    assert again == {first}


def test_prompts_with_nothing_in_common_take_turns() -> None:
    router = Router(3)
    chosen = [router.route({0: 0, 1: 0, 2: 0}, text(f"p{n}-", 8), None) for n in range(9)]
    assert sorted(chosen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert sorted(router.least_busy({0: 4, 1: 4, 2: 4}) for _ in range(3)) == [0, 1, 2]


def test_turns_are_taken_by_prompts_apart_from_other_requests() -> None:
    router = Router(2)
    chosen = []
    for number in range(4):
        router.least_busy({0: 0, 1: 0})  # as admission asks whether one is ready
        chosen.append(router.route({0: 0, 1: 0}, text(f"p{number}-", 8), None))
    assert sorted(chosen) == [0, 0, 1, 1]


def test_another_adapter_finds_nothing_cached() -> None:
    router = Router(2)
    first = router.route({0: 0, 1: 0}, text("a", 8), "one")
    assert router.route({0: 0, 1: 0}, text("a", 8), "two") != first
    assert router.route({0: 0, 1: 0}, text("a", 8), "one") == first


def test_overload_spills_and_then_both_have_the_prefix() -> None:
    router = Router(2)
    prompt = text("a", 100)
    first = router.route({0: 0, 1: 0}, prompt, None)
    other = 1 - first
    for extra in range(MOST_EXTRA_COMPLETIONS):
        assert router.route({first: extra, other: 0}, prompt, None) == first
    assert router.route({first: MOST_EXTRA_COMPLETIONS + 1, other: 0}, prompt, None) == other
    # Now that both have it, the load alone decides.
    assert router.route({first: 1, other: 0}, prompt, None) == other
    assert router.route({first: 0, other: 1}, prompt, None) == first


def test_under_heavy_load_a_long_prefix_is_worth_a_part_of_it() -> None:
    router = Router(2)
    prompt = text("a", 400)
    first = router.route({0: 40, 1: 40}, prompt, None)
    assert router.route({first: 59, 1 - first: 40}, prompt, None) == first
    assert router.route({first: 61, 1 - first: 40}, prompt, None) == 1 - first


@pytest.mark.parametrize(("blocks", "stays"), [(1, False), (3, False), (5, True), (40, True)])
def test_short_prefix_is_not_worth_a_wait(blocks: int, stays: bool) -> None:
    router = Router(2)
    first = router.route({0: 0, 1: 0}, text("a", blocks), None)
    assert (router.route({first: 1, 1 - first: 0}, text("a", blocks), None) == first) is stays
    assert router.route({0: 0, 1: 0}, "b", None) in (0, 1)


def test_longer_prefix_wins_among_equals() -> None:
    router = Router(3)
    all_idle = {0: 0, 1: 0, 2: 0}
    short = router.route(all_idle, text("a", 2), None)
    long = router.route({r: 0 for r in all_idle if r != short}, text("a", 6), None)
    assert router.route(all_idle, text("a", 9), None) == long


def test_replica_that_was_restarted_is_forgotten() -> None:
    router = Router(2)
    first = router.route({0: 0, 1: 0}, text("a", 8), None)
    router.forget(first)
    assert router.route({first: 0, 1 - first: 0}, text("a", 8), None) == 1 - first


def test_without_affinity_only_load_counts() -> None:
    router = Router(2, prefix_affinity=False)
    chosen = [router.route({0: 0, 1: 0}, text("a", 40), None) for _ in range(4)]
    assert sorted(chosen) == [0, 0, 1, 1]
    assert router.route({0: 3, 1: 2}, text("a", 40), None) == 1


Step = tuple[dict[int, int], tuple[str, int], bool]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.integers(0, 3), st.integers(0, 60), min_size=1),
            st.tuples(st.sampled_from("abc"), st.integers(0, 30)),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_choice_is_ready_and_never_far_above_the_least_busy(steps: list[Step]) -> None:
    router = Router(4, remembered_blocks=50)
    for outstanding, (name, blocks), restart in steps:
        if restart:
            router.forget(min(outstanding))
        chosen = router.route(outstanding, text(name, blocks), None)
        assert chosen in outstanding
        least = min(outstanding.values())
        extra = outstanding[chosen] - least
        assert extra <= max(MOST_EXTRA_COMPLETIONS, MOST_EXTRA_PART * least)
        assert router.least_busy(outstanding) in [r for r, n in outstanding.items() if n == least]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=200))
def test_load_stays_balanced_whatever_the_prompts(steps: list[tuple[str, bool]]) -> None:
    """Requests begin as they are routed, and some end: no replica runs away."""
    router = Router(3)
    load = [0, 0, 0]
    for name, ends in steps:
        chosen = router.route(dict(enumerate(load)), text(name, 30), None)
        load[chosen] += 1
        assert load[chosen] - min(load) <= 1 + max(
            MOST_EXTRA_COMPLETIONS, MOST_EXTRA_PART * min(load)
        )
        if ends and load[chosen]:
            load[chosen] -= 1
