"""What a worker process prints: the engine's own messages, and the last words of a crash."""

from __future__ import annotations

import asyncio
import re
from typing import Any

LONGEST_LINE_BYTES = 16 << 10
_NO_MEMORY = re.compile(
    rb"bad_alloc|\bMemoryError\b|cannot allocate memory|out of memory|failed to allocate",
    re.IGNORECASE,
)


async def log_output(process: asyncio.subprocess.Process, log: Any) -> str | None:
    """Log what the process prints until it ends, by lines; a longer one is cut in pieces.

    Returns:
        The last line that says that there was no memory to be had, if one does.

    """
    assert process.stdout
    no_memory: str | None = None
    rest = b""
    while data := await process.stdout.read(LONGEST_LINE_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) >= LONGEST_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            no_memory = _log_line(line, log) or no_memory
    if rest:
        no_memory = _log_line(rest, log) or no_memory
    return no_memory


def _log_line(line: bytes, log: Any) -> str | None:
    text = line.decode(errors="replace").rstrip()
    log.info("worker.output", line=text)
    return text if _NO_MEMORY.search(line) else None
