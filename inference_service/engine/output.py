"""What a worker process prints: the engine's own messages, and the last words of a crash."""

from __future__ import annotations

import asyncio
from typing import Any

LONGEST_LINE_BYTES = 16 << 10


async def log_output(process: asyncio.subprocess.Process, log: Any) -> None:
    """Log what the process prints until it ends, by lines; a longer one is cut in pieces."""
    assert process.stdout
    rest = b""
    while data := await process.stdout.read(LONGEST_LINE_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) >= LONGEST_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            _log_line(line, log)
    if rest:
        _log_line(rest, log)


def _log_line(line: bytes, log: Any) -> None:
    log.info("worker.output", line=line.decode(errors="replace").rstrip())
