from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_service.models.versions import (
    VersionPolicy,
    available,
    chosen,
    parse_policy,
    version_key,
)

LATEST, ALL = parse_policy("latest"), parse_policy("all")
FULL_NAMES = st.from_regex(r"m(@[A-Za-z0-9][A-Za-z0-9._-]{0,12})?", fullmatch=True)


def test_policies() -> None:
    assert parse_policy("latest") == VersionPolicy()
    assert parse_policy("all") == VersionPolicy("all")
    assert parse_policy([1, "2.0"]) == VersionPolicy("listed", frozenset({"1", "2.0"}))


@pytest.mark.parametrize(
    "value", ["", "newest", "1", 1, None, [], [1.1], [True], ["a/b"], [""], {"1": 2}, [None]]
)
def test_what_is_no_policy_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="'latest', 'all' or a list"):
        parse_policy(value)


@pytest.mark.parametrize(
    "ordered",
    [
        ["m", "m@1", "m@2", "m@9", "m@10", "m@11"],
        ["m", "m@1", "m@1.2", "m@1.10", "m@2"],
        ["m@1.0", "m@1.0-rc1", "m@1.0-rc2", "m@1.0-rc10", "m@1.0.1"],
        ["m@2023-12-31", "m@2024-01-01", "m@2024-1-02"],
        ["m@a", "m@b", "m@v1", "m@v9", "m@v10"],
        ["m@01.0", "m@1.0"],
    ],
)
def test_versions_are_ordered_as_people_read_them(ordered: list[str]) -> None:
    for names in itertools.islice(itertools.permutations(ordered), 50):
        assert sorted(names, key=version_key) == ordered


@given(st.lists(FULL_NAMES, unique=True))
@settings(deadline=None)
def test_order_is_one_whatever_it_began_with(names: list[str]) -> None:
    ordered = sorted(names, key=version_key)
    backwards = names[::-1]
    assert sorted(backwards, key=version_key) == ordered
    if "m" in names:
        assert ordered[0] == "m"


def test_policy_says_what_is_served() -> None:
    names = ["m", "m@1", "m@10", "m@9"]
    assert available(names, LATEST) == ["m@10"]
    assert available(names, ALL) == ["m@10", "m@9", "m@1", "m"]
    assert available(names, parse_policy([1, 9, 77])) == ["m@9", "m@1"]
    assert available([], LATEST) == []


def test_bare_name_means_the_last_that_is_ready_else_the_last() -> None:
    names = ["m@1", "m@2", "m@3"]
    for policy in (LATEST, ALL):
        assert chosen(names, [], policy) == "m@3"
        assert chosen(names, ["m@1", "m@2"], policy) == "m@2"
        assert chosen(names, names, policy) == "m@3"
    assert chosen([], ["m@1"], LATEST) is None


def test_bare_name_means_a_listed_version_only() -> None:
    policy = parse_policy(["1", "2"])
    assert chosen(["m@1", "m@2", "m@3"], ["m@1", "m@3"], policy) == "m@1"
    assert chosen(["m@1", "m@2", "m@3"], ["m@3"], policy) == "m@2"
    assert chosen(["m@3"], ["m@3"], policy) is None


def test_a_version_swap_moves_the_bare_name_once_and_forward() -> None:
    """The new version appears, loads, takes over; the old one ends."""
    steps = [
        (["m@1"], ["m@1"], "m@1"),
        (["m@1", "m@2"], ["m@1"], "m@1"),
        (["m@1", "m@2"], ["m@1", "m@2"], "m@2"),
        (["m@1", "m@2"], ["m@2"], "m@2"),
        (["m@2"], ["m@2"], "m@2"),
    ]
    assert [chosen(names, ready, LATEST) for names, ready, _ in steps] == [s[2] for s in steps]
