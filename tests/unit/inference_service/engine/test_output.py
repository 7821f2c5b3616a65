from __future__ import annotations

import asyncio
import sys

import pytest
import structlog

from inference_service.engine.output import LONGEST_LINE_BYTES, log_output


async def test_every_line_is_logged_and_a_long_one_in_pieces() -> None:
    program = "import sys; print('one'); sys.stdout.write('x' * 300_000); print(); print('two')"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    with structlog.testing.capture_logs() as logs:
        said = await asyncio.wait_for(log_output(process, structlog.get_logger()), 30)
    assert said is None
    assert await process.wait() == 0
    lines = [entry["line"] for entry in logs]
    assert lines[0] == "one"
    assert lines[-1] == "two"
    assert sum(line.count("x") for line in lines) == 300_000
    assert max(map(len, lines)) <= 2 * LONGEST_LINE_BYTES


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        ("terminate called after throwing an instance of 'std::bad_alloc'", True),
        ("MemoryError", True),
        ("OSError: [Errno 12] Cannot allocate memory", True),
        ("Failed to allocate 1234 bytes of memory", True),
        ("MyMemoryErrors: none", False),
        ("memory is fine", False),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\nmore\n", ""])
async def test_what_is_said_of_memory_is_told(line: str, tells: bool, end: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "printf", "%s", f"one\n{line}{end}", stdout=asyncio.subprocess.PIPE
    )
    said = await log_output(process, structlog.get_logger())
    await process.wait()
    assert said == (line if tells else None)
