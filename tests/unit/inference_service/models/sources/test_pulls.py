"""Pulls of the service, with their real processes; here, for they need the hub."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelInfo, PullProgress, PullRequest
from inference_service.errors import (
    Draining,
)
from tests.hub import Hub
from tests.unit.inference_service.models.sources.folders import contents, partial

AnyCall = Callable[..., Any]
REQUEST = PullRequest("hf:acme/tiny")
SLOW = 300_000.0


async def test_progress_and_then_the_model(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    pulled = make_pulls()
    *progress, model = await pulled.all(REQUEST)
    assert isinstance(model, ModelInfo)
    assert pulled.names == ["tiny"]
    assert contents(tmp_path / "tiny") == ir
    total = sum(map(len, ir.values()))
    assert progress[0] == PullProgress("looking for hf:acme/tiny")
    assert any(step.total_bytes == total for step in progress)
    assert not partial(tmp_path)
    assert not new_children()
    *_, versioned = await pulled.all(PullRequest("hf:acme/tiny", name="mine@1.0"))
    assert versioned.name == "mine@1.0"
    assert contents(tmp_path / "mine@1.0") == ir


async def test_one_pull_however_many_ask(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, tmp_path: Path
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    slow = pulled.pulls.pull(REQUEST)
    first = await anext(slow)
    results = await asyncio.gather(*(pulled.all(REQUEST) for _ in range(5)))
    assert len(hub.asked_for("/api/models")) == 1
    assert pulled.names == ["tiny"]
    assert len({id(result[-1]) for result in results}) == 1
    assert all(len(result) > 5 for result in results)
    rest = [item async for item in slow]  # of a reader that slept, only what is left to say
    assert isinstance(first, PullProgress)
    assert rest == [results[0][-1]]


async def test_the_last_to_leave_ends_it_and_the_next_goes_on(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    callers = [pulled.pulls.pull(REQUEST) for _ in range(2)]
    for caller in callers:
        await anext(caller)
    await asyncio.to_thread(hub.wait_for_served, 150_000)
    await callers[0].aclose()
    assert new_children()
    await callers[1].aclose()
    assert not new_children()
    assert not (tmp_path / "tiny").exists()
    (left,) = partial(tmp_path)
    assert not any((left / "model").iterdir())
    served = hub.served_bytes
    hub.bytes_per_second = None
    await pulled.all(REQUEST)
    assert contents(tmp_path / "tiny") == ir
    assert hub.served_bytes - served < sum(map(len, ir.values())) - 100_000
    assert any(asked.range for asked in hub.requests)
    assert not partial(tmp_path)


async def test_a_cancelled_caller_is_one_that_left(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    caller = asyncio.create_task(pulled.all(REQUEST))
    await asyncio.to_thread(hub.wait_for_served, 50_000)
    # One that comes just now waits for the end of the old pull, and begins its own.
    caller.cancel()
    hub.bytes_per_second = None
    await pulled.all(REQUEST)
    assert caller.cancelled()
    assert pulled.names == ["tiny"]
    assert not new_children()


async def test_stopping_ends_all(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    callers = [asyncio.create_task(pulled.all(REQUEST)) for _ in range(2)]
    await asyncio.to_thread(hub.wait_for_served, 50_000)
    await pulled.pulls.stop()
    for caller in callers:
        with pytest.raises(Draining):
            await caller
    assert not new_children()
    with pytest.raises(Draining):
        await pulled.all(REQUEST)


async def test_a_process_that_dies_without_a_word(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    running = pulled.pulls.pull(REQUEST)
    await anext(running)
    (pid,) = new_children()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Exception, match="exit code -9"):
        async for _ in running:
            pass
    hub.bytes_per_second = None
    await pulled.all(REQUEST)
    assert pulled.names == ["tiny"]


SERVICE = """
import asyncio, sys
from types import SimpleNamespace
from pathlib import Path
from inference_service.domain import PullRequest
from inference_service.models.pulls import Pulls
config = SimpleNamespace(models_dir=Path(sys.argv[1]), hf_token=None, offline=False,
                         pull_sources=("hf:*",))
async def main():
    async for _ in Pulls(config, None).pull(PullRequest("hf:acme/tiny")):
        pass
asyncio.run(main())
"""


def test_a_pull_dies_with_the_service(
    hub: Hub, ir: dict[str, bytes], tmp_path: Path, is_gone: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    with subprocess.Popen([sys.executable, "-c", SERVICE, str(tmp_path)]) as service:
        hub.wait_for_served(50_000)
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
        assert len(children) == 1
        service.kill()
    deadline = time.monotonic() + 10
    while not is_gone(int(children[0])):
        assert time.monotonic() < deadline
        time.sleep(0.005)
