"""Starts a command that the kernel ends when its parent dies, however that dies.

A pull's process dies with the service, and pip or the converter with the pull's process. Run as a
file, for it must start fast: `python tether.py PARENT-PID PROGRAM ARGUMENT…`. Where there is no
such service of the kernel (it is Linux's), the command simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def tethered(command: Sequence[str]) -> list[str]:
    """Give the command that runs another as long as this process lives."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    """Ask for the signal, check that the parent was not gone before, and become the command."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - what the service itself made


if __name__ == "__main__":
    main()
