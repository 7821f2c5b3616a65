"""How much memory a process has, and how often the kernel ended one for want of it (Linux)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def process_memory(pid: int) -> int | None:
    """Return the bytes of memory that a process has; `None` if it is gone.

    That is its proportional set size: a page that `n` processes share counts as an n-th, so that
    replicas that map the same weights add up to what the machine gives for them. Where the kernel
    doesn't tell that, it is the resident set size. What is swapped out is not in it.

    The kernel walks all pages for it, about 15 ms for each GiB: call it in a thread.
    """
    for file, field in (("smaps_rollup", b"Pss:"), ("status", b"VmRSS:")):
        try:
            text = (_PROC / str(pid) / file).read_bytes()
        except OSError:  # gone, or of another user, or of a kernel without the file
            continue
        for line in text.splitlines():
            if line.startswith(field):
                return int(line.split()[1]) << 10
    return None


def total_memory(pids: Iterable[int]) -> int:
    """Return the bytes of memory that processes have together; see `process_memory`."""
    return sum(process_memory(pid) or 0 for pid in pids)


def oom_kills(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Return how many processes the kernel has ended for want of memory.

    Counted are those of this process's control group, in which its children are too; where that
    can't be read, those of the machine.

    Args:
        proc: Where procfs is mounted.
        cgroups: Where control groups are mounted.

    Returns:
        A count that only grows, or `None` if nobody tells.

    """
    for file in [*_cgroup_files(proc, cgroups), proc / "vmstat"]:
        try:
            text = file.read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def _cgroup_files(proc: Path, cgroups: Path) -> list[Path]:
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    files: list[Path] = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        # In a container, the path may be the host's and the mount the container's own.
        folders = [group.lstrip("/"), ""]
        if "memory" in controllers.split(","):  # version 1
            files += [cgroups / "memory" / folder / "memory.oom_control" for folder in folders]
        elif not controllers:  # version 2
            files += [cgroups / folder / "memory.events" for folder in folders]
    return files
