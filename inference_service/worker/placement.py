"""Where a worker runs and what it may have; both are set before the engine is loaded (Linux)."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
from pathlib import Path

from inference_service.engine import frames
from inference_service.worker.failures import LoadFailure

_NODE_CPUS = "/sys/devices/system/node/node{}/cpulist"
_SET_MEMPOLICY = {"x86_64": 238, "aarch64": 237}  # numbers of the system call
_PREFERRED = 1  # from linux/mempolicy.h
_MOST_NODES = 1024


def place(placement: frames.Placement) -> None:
    """Keep this process to its processors, and have its memory on its node while there is room.

    Threads that are started later are bound by it too; the engine counts only the processors that
    the process may use.

    Raises:
        LoadFailure: There is no such processor or node, or the system doesn't allow it.

    """
    if placement == frames.Placement():
        return
    if sys.platform != "linux":
        raise LoadFailure("invalid_settings", "processors can be chosen on Linux only")
    cpus = placement.cpus
    if placement.numa_node is not None:
        _prefer_memory_of(placement.numa_node)
        cpus = cpus or _cpus_of(placement.numa_node)
    if cpus:
        try:
            os.sched_setaffinity(0, cpus)
        except OSError as error:
            problem = f"processors {', '.join(map(str, cpus))} can't be used: {error.strerror}"
            raise LoadFailure("invalid_settings", problem) from error


def limit_memory(limit_bytes: int | None) -> None:
    """Bound what this process may allocate; `None` is as much as the system has.

    What is counted is memory that can be written and is backed by no file, used or not: so the
    whole key-value cache counts, and weights that are read from a mapped file don't.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    soft = most if limit_bytes is None else limit_bytes
    if most != resource.RLIM_INFINITY:
        soft = min(soft, most)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, most))


def _cpus_of(node: int) -> tuple[int, ...]:
    try:
        text = Path(_NODE_CPUS.format(node)).read_text(encoding="ascii")
    except OSError as error:
        raise LoadFailure("invalid_settings", f"there is no NUMA node {node}") from error
    cpus: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)


def _prefer_memory_of(node: int) -> None:
    number = _SET_MEMPOLICY.get(platform.machine())
    if number is None or not 0 <= node < _MOST_NODES:
        raise LoadFailure("invalid_settings", f"memory can't be taken from NUMA node {node} here")
    mask = (ctypes.c_ulong * (_MOST_NODES // 64))()
    mask[node // 64] = 1 << node % 64
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _PREFERRED, mask, ctypes.c_ulong(_MOST_NODES)) != 0:
        why = os.strerror(ctypes.get_errno())
        problem = f"memory can't be taken from NUMA node {node}: {why}"
        raise LoadFailure("invalid_settings", problem)
