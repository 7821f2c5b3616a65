import gc
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_gateway.openai.responses.store import ResponseStore, StoreLimits, Turn


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def store(clock: Clock, entries: int = 10, size: int = 1 << 20, ttl: float = 60) -> ResponseStore:
    return ResponseStore(StoreLimits(entries, size, ttl), clock)


def turn(name: str, parent: Turn | None = None, owner: str = "me", padding: int = 0) -> Turn:
    item = {"id": f"in_{name}", "type": "message", "padding": "x" * padding}
    return Turn(owner, parent, (json.dumps(item).encode(),))


def response(name: str) -> dict[str, Any]:
    item = {"id": f"out_{name}", "type": "message"}
    return {"id": name, "status": "completed", "output": [item]}


def ids(items: list[bytes]) -> list[str]:
    return [json.loads(item)["id"] for item in items]


def test_kept_until_deleted(clock: Clock) -> None:
    kept = store(clock)
    assert kept.put(response("a"), turn("a"))
    found = kept.get("a", "me")
    assert found is not None
    assert json.loads(found.body) == response("a")
    assert found.status == "completed"
    assert kept.delete("a", "me")
    assert kept.get("a", "me") is None
    assert not kept.delete("a", "me")
    assert (len(kept), kept.size) == (0, 0)


def test_belongs_to_its_key(clock: Clock) -> None:
    kept = store(clock)
    kept.put(response("a"), turn("a"))
    assert kept.get("a", "you") is None
    assert not kept.delete("a", "you")
    assert kept.item("in_a", "you") is None
    assert kept.get("a", "me")
    assert kept.item("in_a", "me")


def test_too_old(clock: Clock) -> None:
    kept = store(clock)
    kept.put(response("a"), turn("a"))
    clock.now = 30
    kept.put(response("b"), turn("b"))
    clock.now = 59.9
    assert kept.get("a", "me")
    clock.now = 60
    assert kept.get("a", "me") is None
    assert kept.item("in_a", "me") is None
    assert len(kept) == 1
    clock.now = 90
    assert (len(kept), kept.size) == (0, 0)


def test_least_recently_used_goes_first(clock: Clock) -> None:
    kept = store(clock, entries=2)
    kept.put(response("a"), turn("a"))
    kept.put(response("b"), turn("b"))
    kept.get("a", "me")
    kept.get("b", "you")  # not a use
    kept.put(response("c"), turn("c"))
    assert [bool(kept.get(name, "me")) for name in "abc"] == [True, False, True]


def test_bytes_are_bounded(clock: Clock) -> None:
    kept = store(clock, size=10_000)
    for number in range(100):
        assert kept.put(response(str(number)), turn(str(number), padding=1000))
        assert 0 < kept.size <= 10_000
    assert len(kept) == 3
    assert kept.get("99", "me")


def test_too_large_is_not_kept(clock: Clock) -> None:
    kept = store(clock, size=10_000)
    kept.put(response("a"), turn("a"))
    assert not kept.put(response("b"), turn("b", padding=10_000))
    assert kept.get("a", "me")
    assert kept.get("b", "me") is None


def test_nothing_is_kept_without_entries(clock: Clock) -> None:
    kept = store(clock, entries=0)
    assert not kept.put(response("a"), turn("a"))
    assert kept.size == 0


def test_history_is_held_once_and_as_long_as_needed(clock: Clock) -> None:
    kept = store(clock)
    first = turn("a", padding=5000)
    kept.put(response("a"), first)
    alone = kept.size
    second = turn("b", first)
    kept.put(response("b"), second)
    assert kept.size < alone + 5000
    assert ids(second.history()) == ["in_a", "out_a", "in_b", "out_b"]
    assert ids(second.all_input()) == ["in_a", "out_a", "in_b"]
    kept.delete("a", "me")
    assert kept.size > 5000
    assert kept.item("in_a", "me")
    kept.delete("b", "me")
    assert kept.size == 0
    assert kept.item("in_a", "me") is None


def test_turn_before_that_was_dropped_meanwhile_is_kept_again(clock: Clock) -> None:
    kept = store(clock)
    first = turn("a")
    kept.put(response("a"), first)
    kept.delete("a", "me")
    kept.put(response("b"), turn("b", first))
    assert kept.item("out_a", "me")
    kept.delete("b", "me")
    assert kept.size == 0


def test_item_sent_again_is_found_until_its_last_turn_goes(clock: Clock) -> None:
    kept = store(clock)
    kept.put(response("a"), turn("a"))
    again = Turn("me", None, (json.dumps({"id": "in_a", "type": "message"}).encode(),))
    kept.put(response("b"), again)
    kept.delete("a", "me")
    assert kept.item("in_a", "me")
    kept.delete("b", "me")
    assert kept.item("in_a", "me") is None


_step = st.tuples(st.sampled_from(["put", "put", "get", "delete", "wait"]), st.integers(0, 11))


@given(st.lists(_step, max_size=60))
def test_account_is_true_whatever_happens(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    kept = store(clock, entries=5, size=9000)
    turns: list[Turn] = []
    names: list[str] = []
    for what, number in steps:
        name = names[number % len(names)] if names else ""
        if what == "put":
            parent = turns[number % len(turns)] if turns and number % 3 else None
            turns.append(turn(str(len(turns)), parent, padding=number * 100))
            names.append(f"r{len(names)}")
            kept.put(response(names[-1]), turns[-1])
        elif what == "get":
            kept.get(name, "me")
        elif what == "delete":
            kept.delete(name, "me")
        else:
            clock.now += number * 10
        there = [found for name in names if (found := kept.get(name, "me"))]
        needed = {id(one): one for found in there for one in found.turn.line()}
        assert kept.size == sum(f.size for f in there) + sum(t.size for t in needed.values())
        assert len(there) == len(kept) <= 5
        assert kept.size <= 9000


def test_account_is_not_less_than_what_python_takes(clock: Clock) -> None:
    kept = store(clock, entries=100_000, size=1 << 30)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2000):
            kept.put(response(f"resp_{number:032}"), turn(f"{number:032}"))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= kept.size <= 3 * taken
