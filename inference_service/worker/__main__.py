"""The worker process: `python -m inference_service.worker FD`, started by the service alone."""

from __future__ import annotations

import ctypes
import faulthandler
import signal
import socket
import sys
import time

from inference_service.engine import frames
from inference_service.worker.interface import Pipeline
from inference_service.worker.loop import Connection, serve

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def _load(load: frames.Load) -> Pipeline:
    if load.settings.engine == "fake":
        from inference_service.worker.fake import FakePipeline

        return FakePipeline(load.settings)
    from inference_service.worker.pipeline import OpenVinoPipeline

    return OpenVinoPipeline(load.model_dir, load.settings, load.context_length)


def _die_with_parent() -> None:
    """End at once when the service is gone, even inside a step; without Linux, after it."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def main() -> int:
    """Load the model that the first message names, then serve until the service hangs up."""
    faulthandler.enable()
    # Signals to a whole process group are for the service, which drains and then hangs up.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent()
    with socket.socket(fileno=int(sys.argv[1])) as service:
        return _run(Connection(service))


def _run(connection: Connection) -> int:
    inbox = connection.receive(block=True)
    while inbox == []:
        inbox = connection.receive(block=True)
    if inbox is None:
        return 0
    (load,) = inbox
    if not isinstance(load, frames.Load):
        raise TypeError(f"the first message is {load!r}")
    started = time.monotonic()
    try:
        pipeline = _load(load)
    except Exception as error:  # noqa: BLE001  whatever it is, the service is told
        connection.send([frames.LoadFailed(f"{type(error).__name__}: {error}")])
        return 1
    connection.send([frames.Ready(time.monotonic() - started, pipeline.longest_token_bytes)])
    serve(connection, pipeline, load.context_length)
    return 0


if __name__ == "__main__":
    sys.exit(main())
