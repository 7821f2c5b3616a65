from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause
from inference_service.engine import frames
from inference_service.engine.failure import LoadError, LoadRefusedError
from inference_service.engine.process import EngineProcess
from inference_service.engine.worker import Worker
from inference_service.errors import WorkerLost

AnyCall = Callable[..., Any]
DIED, NO_MEMORY = LoadFailureCause.WORKER_DIED, LoadFailureCause.OUT_OF_MEMORY
_KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("program", "cause", "words"),
    [
        ("import time; time.sleep(60)", LoadFailureCause.TIMEOUT, "not loaded after 0.3 s"),
        ("import os; os.abort()", DIED, "died while it loaded the model of SIGABRT$"),
        ("import sys; sys.exit(0)", DIED, "died while it loaded the model$"),
        (_KILL, DIED, "it was killed, perhaps for want of memory$"),
        (
            "import os; os.write(2, b'terminate called: std::bad_alloc\\n\\n'); os.abort()",
            NO_MEMORY,
            "for want of memory: terminate called: std::bad_alloc$",
        ),
        ("bytearray(1 << 62)", NO_MEMORY, "for want of memory: MemoryError$"),
    ],
)
async def test_process_that_does_not_load_leaves_no_process(
    load: AnyCall, new_children: AnyCall, program: str, cause: LoadFailureCause, words: str
) -> None:
    timeout = 0.3 if "sleep" in program else 20
    with pytest.raises(LoadError, match=words) as caught:
        await EngineProcess.start(
            "m", load(), timeout_seconds=timeout, command=(sys.executable, "-Sc", program)
        )
    assert caught.value.cause is cause
    assert new_children() == set()


async def test_process_that_the_kernel_killed_for_memory(
    load: AnyCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([7, 8])  # the kernel counts a kill before it kills
    monkeypatch.setattr("inference_service.engine.process.oom_kills", lambda: next(counts))
    with pytest.raises(LoadError, match="for want of memory: the kernel ended it") as caught:
        await EngineProcess.start(
            "m", load(), timeout_seconds=20, command=(sys.executable, "-Sc", _KILL)
        )
    assert caught.value.cause is NO_MEMORY


@pytest.mark.parametrize(
    "kind", ["invalid_files", "invalid_settings", "unsupported", "out_of_memory"]
)
async def test_load_that_the_process_refuses(
    load: AnyCall, new_children: AnyCall, kind: Any
) -> None:
    with pytest.raises(LoadRefusedError, match="asked to fail") as caught:
        await Worker.start("m", load(fake_load_failure=kind), timeout_seconds=20)
    assert caught.value.cause is LoadFailureCause(kind)
    assert new_children() == set()


async def test_no_process_can_be_started(load: AnyCall) -> None:
    with pytest.raises(LoadError, match="no process could be started") as caught:
        await EngineProcess.start("m", load(), timeout_seconds=20, command=("/nonexistent",))
    assert caught.value.cause is DIED


async def test_idle_is_when_nothing_is_outstanding(
    start_worker: AnyCall, sampling: frames.Sampling, read: AnyCall
) -> None:
    worker = await start_worker(fake_step_seconds=0.01)
    await asyncio.wait_for(worker.idle(), 1)
    short, long = (worker.submit(text, sampling, 1 << 20) for text in ("a", "a long one"))
    idle = asyncio.create_task(worker.idle())
    await read(short)
    assert not idle.done()
    await read(long)
    assert worker.outstanding == 0
    await asyncio.wait_for(idle, 1)
    encoded = asyncio.create_task(worker.encode("abc", add_special_tokens=False))
    await asyncio.sleep(0)  # it is sent
    assert worker.outstanding == 1
    await asyncio.wait_for(worker.idle(), 1)
    assert worker.outstanding == 0
    assert await encoded == (97, 98, 99)


async def test_idle_when_requests_are_closed_or_the_process_is_lost(
    start_worker: AnyCall, sampling: frames.Sampling
) -> None:
    worker = await start_worker()
    stream = worker.submit("!hang", sampling, 1 << 20)
    idle = asyncio.create_task(worker.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    stream.close()
    await asyncio.wait_for(idle, 1)
    worker.submit("abc", sampling, 1 << 20)  # it hangs, and never reads this
    call = asyncio.create_task(worker.encode("abc", add_special_tokens=False))
    idle = asyncio.create_task(worker.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    os.kill(worker.pid, signal.SIGKILL)
    await asyncio.wait_for(idle, 5)
    assert worker.outstanding == 0
    await asyncio.wait([call])
    assert isinstance(call.exception(), WorkerLost)


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
    started = time.monotonic()
    start.cancel()
    await asyncio.wait([start])
    assert start.cancelled()
    assert new_children() == set()
    assert time.monotonic() - started < 2  # a load is killed, not waited for


async def test_start_that_is_cancelled_anywhere_leaves_no_process(
    load: AnyCall, new_children: AnyCall, eventually: AnyCall
) -> None:
    program = "import time; time.sleep(60)"
    for turns in range(12):  # of the event loop, until the cancellation
        start = asyncio.create_task(
            EngineProcess.start(
                "m", load(), timeout_seconds=60, command=(sys.executable, "-Sc", program)
            )
        )
        for _ in range(turns):
            await asyncio.sleep(0)
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
