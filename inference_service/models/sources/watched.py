"""A child process whose output is read while it runs."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence

from inference_service.models.sources.tether import tethered

_TICK_SECONDS = 0.2
_END_SECONDS = 5.0


def run_watched(
    command: Sequence[str],
    *,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
    environment: Mapping[str, str] | None = None,
    keep_open: Collection[int] = (),
) -> int:
    """Run a command to its end; what a callback raises ends the command first, as does our death.

    Args:
        command: The program and its arguments.
        on_line: Takes each line of its output and errors, without the line's end.
        on_tick: Called several times a second.
        environment: Variables to set beside those of this process.
        keep_open: Descriptors that the child inherits.

    Returns:
        The exit code; negative is the signal that ended it.

    """
    process = subprocess.Popen(
        tethered(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment} if environment else None,
        pass_fds=tuple(keep_open),
        bufsize=0,
    )
    try:
        _read(process, on_line, on_tick)
        return process.wait()
    finally:
        _end(process)


def _read(
    process: subprocess.Popen[bytes], on_line: Callable[[str], None], on_tick: Callable[[], None]
) -> None:
    assert process.stdout is not None
    rest = b""
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            on_tick()
            if not selector.select(_TICK_SECONDS):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in lines if chunk else [*lines, rest]:
                if text := line.decode(errors="replace").rstrip():
                    on_line(text)
            if not chunk:
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
