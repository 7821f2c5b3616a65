from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from inference_service.domain import LoadFailureCause
from inference_service.engine import frames
from inference_service.engine.failure import LoadError
from inference_service.engine.frames import Placement
from inference_service.engine.placement import Machine, parse_cpus, placements
from inference_service.engine.replicas import Replicas
from inference_service.engine.settings import ModelSettings


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Two nodes of four cores with two threads each, numbered as on most servers; and a third node,
    which has memory only."""
    system = tmp_path_factory.mktemp("system")
    (system / "node").mkdir()
    (system / "node/online").write_text("0-2\n")
    for node, cpus in enumerate(("0-3,8-11", "4-7,12-15", "")):
        (system / f"node/node{node}").mkdir()
        (system / f"node/node{node}/cpulist").write_text(f"{cpus}\n")
    for cpu in range(16):
        topology = system / f"cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{cpu % 8 // 4}\n")
        (topology / "core_id").write_text(f"{cpu % 4}\n")
    return Machine(frozenset(range(16)), system)


def flat(count: int) -> Machine:
    """A machine of which the kernel tells nothing but the processors' numbers."""
    return Machine(frozenset(range(count)), Path("/nonexistent"))


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0", {0}),
        ("0-3", {0, 1, 2, 3}),
        ("0-1,4,6-7", {0, 1, 4, 6, 7}),
        ("5-5", {5}),
        ("1,1", {1}),
        (" 2\n", {2}),
        ("\n", set()),
    ],
)
def test_cpu_list(text: str, cpus: set[int]) -> None:
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1,,2", "1 2", "0-99999999", "0x1", "²"])
def test_no_cpu_list(text: str) -> None:
    with pytest.raises(ValueError, match="processors"):
        parse_cpus(text)


@given(st.frozensets(st.integers(0, 300), min_size=1))
def test_cpu_list_of_any_numbers(cpus: frozenset[int]) -> None:
    assert parse_cpus(",".join(map(str, cpus))) == cpus


def test_one_replica_runs_anywhere(two_nodes: Machine) -> None:
    assert placements(ModelSettings(), two_nodes) == [Placement()]


def test_replicas_divide_a_machine_by_nodes_and_cores(two_nodes: Machine) -> None:
    two = placements(ModelSettings(replicas=2), two_nodes)
    assert two == [Placement((0, 1, 2, 3, 8, 9, 10, 11)), Placement((4, 5, 6, 7, 12, 13, 14, 15))]
    four = placements(ModelSettings(replicas=4), two_nodes)
    assert four[0] == Placement((0, 1, 8, 9))
    assert four[3] == Placement((6, 7, 14, 15))


@given(st.integers(1, 40), st.integers(1, 64))
def test_shares_are_disjoint_and_equal(cpus: int, replicas: int) -> None:
    placed = placements(ModelSettings(replicas=replicas), flat(cpus))
    assert len(placed) == replicas
    if replicas == 1 or replicas > cpus:
        assert set(placed) == {Placement()}
        return
    shares = [placement.cpus or () for placement in placed]
    assert sorted(cpu for share in shares for cpu in share) == list(range(cpus))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_replicas_share_what_threads_are_set_for(two_nodes: Machine) -> None:
    assert placements(ModelSettings(replicas=2, threads=4), two_nodes) == [Placement()] * 2


def test_replicas_take_cpus_and_nodes_in_turn(two_nodes: Machine) -> None:
    settings = ModelSettings(replicas=3, cpus=("0-3", "4,6"), numa_nodes=(1,))
    assert placements(settings, two_nodes) == [
        Placement((0, 1, 2, 3), 1),
        Placement((4, 6), 1),
        Placement((0, 1, 2, 3), 1),
    ]


def test_replicas_on_nodes(two_nodes: Machine) -> None:
    one_each = placements(ModelSettings(replicas=2, numa_nodes=(1, 0)), two_nodes)
    assert one_each == [
        Placement((4, 5, 6, 7, 12, 13, 14, 15), 1),
        Placement((0, 1, 2, 3, 8, 9, 10, 11), 0),
    ]
    four = placements(ModelSettings(replicas=4, numa_nodes=(0, 1)), two_nodes)
    assert [placement.numa_node for placement in four] == [0, 1, 0, 1]
    assert [placement.cpus for placement in four[::2]] == [(0, 1, 8, 9), (2, 3, 10, 11)]
    both = placements(ModelSettings(replicas=2, threads=2, numa_nodes=(0,)), two_nodes)
    assert both == [Placement((0, 1, 2, 3, 8, 9, 10, 11), 0)] * 2


def test_node_is_kept_to_what_this_process_may_use(two_nodes: Machine) -> None:
    some = Machine(frozenset({1, 2, 9, 12}), two_nodes.system)
    assert placements(ModelSettings(numa_nodes=(0,)), some) == [Placement((1, 2, 9), 0)]


def test_memory_of_a_node_without_processors(two_nodes: Machine) -> None:
    settings = ModelSettings(cpus=("0-1",), numa_nodes=(2,))
    assert placements(settings, two_nodes) == [Placement((0, 1), 2)]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"cpus": ("0-99",)}, "16, 17, .*, 99 can't be used"),
        ({"cpus": ("zero",)}, "cpus: 'zero' is no list"),
        ({"cpus": ("",)}, "cpus: an entry is empty"),
        ({"cpus": ("0", "1")}, "cpus has 2 entries for 1 replicas"),
        ({"numa_nodes": (0, 1)}, "numa_nodes has 2 entries for 1 replicas"),
        ({"numa_nodes": (7,)}, "there is no node 7, only 0, 1, 2"),
        ({"numa_nodes": (2,)}, "node 2 has no processors that can be used"),
    ],
)
def test_what_can_not_be(settings: dict[str, object], problem: str, two_nodes: Machine) -> None:
    with pytest.raises(LoadError, match=problem) as caught:
        placements(ModelSettings(**settings), two_nodes)
    assert caught.value.cause is LoadFailureCause.INVALID_SETTINGS
    assert caught.value.failure.message == str(caught.value)


def test_no_nodes_are_known() -> None:
    with pytest.raises(LoadError, match="there is no node 0, only none"):
        placements(ModelSettings(numa_nodes=(0,)), flat(2))


def test_this_machine() -> None:
    machine = Machine.this()
    assert machine.allowed == os.sched_getaffinity(0)
    assert sorted(machine.adjoined(machine.allowed)) == sorted(machine.allowed)
    used = ",".join(map(str, sorted(machine.allowed)))
    assert placements(ModelSettings(cpus=(used,))) == [Placement(tuple(sorted(machine.allowed)))]


async def test_workers_run_where_they_are_placed(load: Callable[..., Any]) -> None:
    cpu = min(os.sched_getaffinity(0))
    placed = msgspec.structs.replace(load(), placement=frames.Placement((cpu,)))
    replicas = Replicas(
        "m",
        [placed],
        start_timeout_seconds=60,
        step_timeout_seconds=30,
        on_change=lambda: None,
    )
    replicas.start()
    try:
        await replicas.loaded()
        (pid,) = replicas.pids()
        assert os.sched_getaffinity(pid) == {cpu}
    finally:
        await replicas.stop()
