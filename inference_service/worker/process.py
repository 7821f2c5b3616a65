"""What every process of the engine does first: see to its end, and read what to load."""

from __future__ import annotations

import ctypes
import faulthandler
import signal
import socket
import sys
from collections.abc import Callable

from inference_service.engine import frames
from inference_service.worker.loop import Connection

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def run(serve: Callable[[Connection, frames.Load], int]) -> int:
    """Serve on the socket whose file descriptor is the first argument of the command line.

    Args:
        serve: What to do with the connection and its first message; gives the exit status.

    """
    faulthandler.enable()
    # Signals to a whole process group are for the service, which drains and then hangs up.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent()
    with socket.socket(fileno=int(sys.argv[1])) as service:
        connection = Connection(service)
        inbox = connection.receive(block=True)
        while inbox == []:
            inbox = connection.receive(block=True)
        if inbox is None:
            return 0
        (load,) = inbox
        if not isinstance(load, frames.Load):
            raise TypeError(f"the first message is {load!r}")
        return serve(connection, load)


def _die_with_parent() -> None:
    """End at once when the service is gone, even inside a step; without Linux, after it."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
