"""A pull is killed again and again; what it fetched is never lost and never half visible."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from inference_service.models.sources.messages import (
    Done,
    Progressed,
    PullOrder,
    Report,
    decode_report,
    encode,
)
from tests.hub import Hub

KILLS = 20
WEIGHTS_BYTES = 4_000_000
COMMAND = [sys.executable, "-m", "inference_service.models.sources"]


class Child:
    """The process of a pull."""

    def __init__(self, models_dir: Path) -> None:
        order = PullOrder(models_dir=str(models_dir), name="tiny", source="hf:acme/tiny")
        self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        self._process.stdin.write(encode(order))
        self._process.stdin.close()

    def reports(self, until: Callable[[Report], bool] = lambda _: False) -> list[Report]:
        """Read reports up to one that is waited for, or to the end."""
        assert self._process.stdout is not None
        found: list[Report] = []
        for line in self._process.stdout:
            found.append(decode_report(line))
            if until(found[-1]):
                break
        return found

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def writes(report: Report) -> bool:
    return isinstance(report, Progressed) and report.stage == "writing to disk"


def test_a_pull_killed_20_times_is_always_resumed_or_cleanly_absent(
    hub: Hub, ir: dict[str, bytes], tmp_path: Path
) -> None:
    numbers = random.Random(20)
    files = ir | {"openvino_model.bin": numbers.randbytes(WEIGHTS_BYTES)}
    hub.add("acme/tiny", files)
    hub.bytes_per_second = 8e6
    total = sum(map(len, files.values()))
    # Of the kills, four come before or while the hub is asked, the last one when all is fetched,
    # and the others when so much of the whole has been served.
    points = sorted(numbers.uniform(0, total * 0.98) for _ in range(KILLS - 5))
    starts: list[float] = [numbers.uniform(0, 0.5) for _ in range(4)]
    plan: list[Callable[[Child], object]] = [
        *(lambda _, point=point: hub.wait_for_served(int(point)) for point in points)
    ]
    for seconds in starts:
        plan.insert(numbers.randrange(len(plan)), lambda child, s=seconds: waited(child, s))
    plan.append(lambda child: child.reports(until=writes))
    assert len(plan) == KILLS
    for number, wait in enumerate(plan, start=1):
        child = Child(tmp_path)
        wait(child)
        child.kill()
        if number < KILLS:  # the last may have been too late
            assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == []
    if not (tmp_path / "tiny").exists():
        child = Child(tmp_path)
        assert isinstance(child.reports()[-1], Done)
        child.kill()
    assert contents(tmp_path / "tiny") == files
    assert hub.served_bytes >= total
    # Each kill costs at most what was on its way, which the hub counts and nobody reads.
    assert hub.served_bytes < 2 * total


def waited(child: Child, seconds: float) -> None:
    """Let a process live for a time, unless it ends before."""
    del child
    time.sleep(seconds)
