"""Where the replicas of a model run: processors, and the NUMA node of their memory (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_service.domain import LoadFailureCause
from inference_service.engine.failure import LoadError
from inference_service.engine.frames import Placement
from inference_service.engine.settings import ModelSettings

_SYSTEM = Path("/sys/devices/system")
_MOST_CPUS = 1 << 16


@dataclass(frozen=True)
class Machine:
    """The processors that there are.

    Attributes:
        allowed: Numbers of those that this process may use.
        system: Where the kernel tells of processors and nodes.

    """

    allowed: frozenset[int]
    system: Path = _SYSTEM

    @classmethod
    def this(cls) -> Machine:
        """Return what this process runs on."""
        return cls(frozenset(os.sched_getaffinity(0)))

    def nodes(self) -> frozenset[int]:
        """Return the numbers of the NUMA nodes; none where the kernel knows of no nodes."""
        try:
            return parse_cpus((self.system / "node/online").read_text())
        except OSError:
            return frozenset()

    def node_cpus(self, node: int) -> frozenset[int]:
        """Return the processors of a node that this process may use; none of one with memory only.

        Raises:
            OSError: There is no such node.

        """
        cpus = (self.system / f"node/node{node}/cpulist").read_text()
        return parse_cpus(cpus) & self.allowed

    def adjoined(self, cpus: Iterable[int]) -> list[int]:
        """Sort processors so that those of a node are together, and in it those of a core."""
        node_of = {cpu: node for node in self.nodes() for cpu in self.node_cpus(node)}
        return sorted(cpus, key=lambda cpu: (node_of.get(cpu, 0), *self._core(cpu), cpu))

    def _core(self, cpu: int) -> tuple[int, int]:
        topology = self.system / f"cpu/cpu{cpu}/topology"
        try:
            package = int((topology / "physical_package_id").read_text())
            return package, int((topology / "core_id").read_text())
        except OSError:  # some virtual machines don't tell
            return 0, cpu


def parse_cpus(text: str) -> frozenset[int]:
    """Read a list such as `0-7,16`.

    Raises:
        ValueError: It is none.

    """
    cpus: set[int] = set()
    for part in text.strip().split(",") if text.strip() else []:
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{text.strip()!r} is no list of processors such as '0-7,16'")
        low, high = int(first), int(last or first)
        if high < low or high >= _MOST_CPUS:
            raise ValueError(f"{part!r} is no range of processors")
        cpus.update(range(low, high + 1))
    return frozenset(cpus)


def placements(settings: ModelSettings, machine: Machine | None = None) -> list[Placement]:
    """Return where each replica of a model runs.

    Each replica in turn takes the next of `cpus` and of `numa_nodes`, from the first again when
    there are fewer than replicas. A replica with neither may run anywhere, and one with a node on
    all processors of the node; but several of these that would have the same processors divide
    them, if there are enough, unless `threads` says how many each uses.

    Args:
        settings: The model's.
        machine: What it runs on; `None` is this one.

    Raises:
        LoadError: The settings ask for what there is not; its cause is `INVALID_SETTINGS`.

    """
    machine = machine or Machine.this()
    replicas = settings.replicas
    lists = [_cpus(text, machine) for text in settings.cpus]
    for name, values in (("cpus", lists), ("numa_nodes", settings.numa_nodes)):
        if len(values) > replicas:
            raise _invalid(f"{name} has {len(values)} entries for {replicas} replicas")
    nodes = [_in_turn(settings.numa_nodes, index) for index in range(replicas)]
    for node in nodes:
        if node is not None and node not in machine.nodes():
            raise _invalid(f"numa_nodes: there is no node {node}, only {_listed(machine.nodes())}")
    if lists:
        return [
            Placement(tuple(sorted(lists[index % len(lists)])), node)
            for index, node in enumerate(nodes)
        ]
    placed: list[Placement] = []
    for index, node in enumerate(nodes):
        cpus = machine.allowed if node is None else machine.node_cpus(node)
        if not cpus:
            raise _invalid(f"numa_nodes: node {node} has no processors that can be used")
        sharers = nodes.count(node)
        if sharers > 1 and len(cpus) >= sharers and settings.threads is None:
            share = _share(machine.adjoined(cpus), nodes[:index].count(node), sharers)
            placed.append(Placement(tuple(sorted(share)), node))
        else:
            placed.append(Placement(None if node is None else tuple(sorted(cpus)), node))
    return placed


def _cpus(text: str, machine: Machine) -> frozenset[int]:
    try:
        cpus = parse_cpus(text)
    except ValueError as error:
        raise _invalid(f"cpus: {error}") from error
    if not cpus:
        raise _invalid("cpus: an entry is empty")
    if missing := cpus - machine.allowed:
        raise _invalid(
            f"cpus: {_listed(missing)} can't be used, only {_listed(machine.allowed)} can"
        )
    return cpus


def _in_turn(values: Sequence[int], index: int) -> int | None:
    return values[index % len(values)] if values else None


def _share(cpus: Sequence[int], place: int, of: int) -> Sequence[int]:
    """Cut a sequence into parts whose lengths differ by 1 at most, and return one of them."""
    return cpus[place * len(cpus) // of : (place + 1) * len(cpus) // of]


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"


def _invalid(problem: str) -> LoadError:
    return LoadError(problem, LoadFailureCause.INVALID_SETTINGS)
