from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from inference_service.models.sources.tether import tethered

PARENT = """
import sys
from inference_service.models.sources.watched import run_watched
child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
run_watched([sys.executable, "-S", "-c", child],
            on_line=lambda line: print(line, flush=True), on_tick=lambda: None)
"""


def test_a_command_dies_with_its_parent() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # The pipe is closed when the last process that has it is gone.
        descriptor = os.pidfd_open(pid)
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            assert select.select([descriptor], [], [], 10)[0]
        finally:
            os.close(descriptor)


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_runs_as_it_would(code: int) -> None:
    command = tethered([sys.executable, "-S", "-c", f"print('said'); raise SystemExit({code})"])
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (code, b"said\n")


def test_a_parent_that_is_gone_before_is_told() -> None:
    command = tethered([sys.executable, "-S", "-c", "print('said')"])
    command[command.index(str(os.getpid()))] = "1"
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")
