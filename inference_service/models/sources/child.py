"""The service's end of a process that fetches or converts a model."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from inference_service.models.sources import messages
from inference_service.models.sources.progress import Progress
from inference_service.models.sources.tether import tethered

COMMAND = (sys.executable, "-P", "-m", "inference_service.models.sources")
"""The process; with -P, so that no folder where the service runs is taken for a package."""

GRACE_SECONDS = 10.0
"""What it has to end in order when it is cancelled."""

_LONGEST_LINE_BYTES = 1 << 20
_WORDS_BYTES = 4096

_log = structlog.get_logger(__name__)


class ProcessDied(Exception):
    """The process ended without a word; the log has what it printed."""


async def run(
    order: messages.Order,
    on_progress: Callable[[Progress], None],
    command: Sequence[str] = COMMAND,
) -> Path:
    """Have a process carry out an order; it dies with this one.

    Cancelling ends the process, and returns when it has ended.

    Args:
        order: What to do.
        on_progress: Takes the progress.
        command: What to run.

    Returns:
        The model's folder.

    Raises:
        PullError: The process says that it failed.
        ProcessDied: It was killed, or there is a fault in it.

    """
    process = await asyncio.create_subprocess_exec(
        *tethered(command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE_BYTES,
    )
    words = asyncio.create_task(_last_words(process))
    try:
        await _give(process, order)
        result = await _result(process, on_progress)
        await process.wait()
    finally:
        try:
            await _end(process)
        finally:
            said = await words
    if isinstance(result, messages.Done):
        return Path(result.folder)
    if isinstance(result, messages.Failed):
        raise messages.error_of(result)
    _log.error("pull.process_died", pid=process.pid, exit_code=process.returncode, output=said)
    raise ProcessDied(f"exit code {process.returncode}")


async def _give(process: asyncio.subprocess.Process, order: messages.Order) -> None:
    assert process.stdin
    with contextlib.suppress(ConnectionError):  # it is dead, which shows at its output
        process.stdin.write(messages.encode(order))
        await process.stdin.drain()
    process.stdin.close()


async def _result(
    process: asyncio.subprocess.Process, on_progress: Callable[[Progress], None]
) -> messages.Done | messages.Failed | None:
    assert process.stdout
    async for line in process.stdout:
        try:
            report = messages.decode_report(line)
        except msgspec.DecodeError:  # it was killed while it wrote
            return None
        if isinstance(report, messages.Progressed):
            on_progress(messages.progress_of(report))
        else:
            return report
    return None


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process in order, or kill it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        _log.warning("pull.process_killed", pid=process.pid)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    await process.wait()


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """Read what the process prints, and give the end of it."""
    assert process.stderr
    words = b""
    while data := await process.stderr.read(_WORDS_BYTES):
        words = (words + data)[-_WORDS_BYTES:]
    return words.decode(errors="replace").strip()
