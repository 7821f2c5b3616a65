from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference_service.engine import memory
from inference_service.engine.memory import oom_kills, process_memory, total_memory

MIB = 1 << 20
_MAP = """
import mmap, sys
if sys.argv[1]:
    with open(sys.argv[1], "rb") as file:
        block = mmap.mmap(file.fileno(), 64 << 20, prot=mmap.PROT_READ)
    for page in range(0, 64 << 20, 4096):
        block[page]
else:
    block = bytearray(b"1") * (64 << 20)
print(flush=True)
sys.stdin.read()
"""


class Mapping:
    """A process that has 64 MiB mapped: of a file, or of its own."""

    def __init__(self, file: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-Sc", _MAP, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout
        assert self._process.stdout.readline()
        self.pid = self._process.pid

    def end(self) -> None:
        self._process.communicate()


def test_memory_of_a_process_is_what_it_has() -> None:
    process = Mapping("")
    has = process_memory(process.pid)
    process.end()
    assert has is not None
    assert 64 * MIB < has < 96 * MIB  # the interpreter is the rest


def test_shared_pages_are_counted_once(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(os.urandom(MIB) * 64)
    one = Mapping(str(weights))
    alone = process_memory(one.pid)
    two = Mapping(str(weights))
    together = total_memory([one.pid, two.pid])
    own = Mapping("")
    apart = total_memory([one.pid, two.pid, own.pid])
    for process in (one, two, own):
        process.end()
    assert alone is not None
    assert alone > 64 * MIB
    assert together < alone + 32 * MIB  # the second has nothing of its own but the interpreter
    assert apart > together + 64 * MIB
    assert process_memory(one.pid) is None
    assert total_memory([one.pid, two.pid, own.pid]) == 0


def test_process_that_has_ended_but_was_not_waited_for_has_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-Sc", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_memory(process.pid) is None
    process.wait()


def test_resident_size_where_shares_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text("Name:\tx\nVmRSS:\t    2048 kB\n")
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert process_memory(7) == 2 * MIB
    assert process_memory(8) is None


@pytest.mark.parametrize(
    ("cgroup", "file", "text"),
    [
        (
            "4:memory:/a/b\n0::/\n",
            "cgroups/memory/a/b/memory.oom_control",
            "under_oom 0\noom_kill 3",
        ),
        ("4:cpu,memory:/host/path\n", "cgroups/memory/memory.oom_control", "oom_kill 3\n"),
        ("0::/a/b\n", "cgroups/a/b/memory.events", "oom 9\noom_kill 3\noom_group_kill 1\n"),
        ("0::/../host\n", "cgroups/memory.events", "oom 9\noom_kill 3\n"),
        ("0::/a\n", "proc/vmstat", "oom_kill_disable 1\noom_kill 3\n"),
        (None, "proc/vmstat", "oom_kill 3\n"),
    ],
)
def test_count_of_kills(tmp_path: Path, cgroup: str | None, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    if cgroup is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
    assert oom_kills(tmp_path / "proc", tmp_path / "cgroups") == 3


def test_nobody_tells_of_kills(tmp_path: Path) -> None:
    assert oom_kills(tmp_path, tmp_path) is None
