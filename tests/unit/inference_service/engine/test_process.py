from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from inference_service.engine.process import EngineProcess, LoadError

AnyCall = Callable[..., Any]


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("import time; time.sleep(60)", "not loaded after 0.3 s"),
        ("import os; os.abort()", "died while it loaded"),
        ("import sys; sys.exit(0)", "died while it loaded"),
    ],
)
async def test_process_that_does_not_load_leaves_no_process(
    load: AnyCall, new_children: AnyCall, program: str, cause: str
) -> None:
    timeout = 0.3 if "sleep" in program else 20
    with pytest.raises(LoadError, match=cause):
        await EngineProcess.start(
            "m", load(), timeout_seconds=timeout, command=(sys.executable, "-Sc", program)
        )
    assert new_children() == set()


async def test_start_that_is_cancelled_leaves_no_process(
    load: AnyCall, new_children: AnyCall, eventually: AnyCall
) -> None:
    program = "import time; time.sleep(60)"
    start = asyncio.create_task(
        EngineProcess.start(
            "m", load(), timeout_seconds=60, command=(sys.executable, "-Sc", program)
        )
    )
    await eventually(new_children)
    start.cancel()
    await asyncio.wait([start])
    assert start.cancelled()
    await eventually(lambda: new_children() == set())


async def test_nonsense_from_a_process_is_its_end(
    load: AnyCall, caplog: pytest.LogCaptureFixture
) -> None:
    program = (
        "import socket, sys\n"
        "s = socket.socket(fileno=int(sys.argv[1]))\n"
        "s.sendall(b'\\xff' * 8)\n"
        "s.recv(1 << 16)\n"
        "s.recv(1)\n"
    )
    with pytest.raises(LoadError, match="died while it loaded"):
        await EngineProcess.start(
            "m", load(), timeout_seconds=20, command=(sys.executable, "-c", program)
        )
    assert "a frame of 4294967295 bytes" in caplog.text
