"""Pulls of the service, with their real processes; here, for they need the hub."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import ModelInfo, ModelState, PullProgress, PullRequest
from inference_service.errors import (
    Draining,
    InvalidArgument,
    ModelExists,
    ServiceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from inference_service.models.pulls import Pulls
from tests.hub import Hub

AnyCall = Callable[..., Any]
REQUEST = PullRequest("hf:acme/tiny")
SLOW = 300_000.0


class Pulled:
    """Pulls, and the models that they say have appeared."""

    def __init__(self, config: Any) -> None:
        self.names: list[str] = []
        self.pulls = Pulls(config, self._pulled)

    async def _pulled(self, name: str) -> ModelInfo:
        self.names.append(name)
        return ModelInfo(name, ModelState.UNLOADED, datetime.now(UTC))

    async def all(self, request: PullRequest = REQUEST) -> list[PullProgress | ModelInfo]:
        return [item async for item in self.pulls.pull(request)]


@pytest.fixture
async def make_pulls(make_config: AnyCall) -> AsyncIterator[AnyCall]:
    async with contextlib.AsyncExitStack() as stack:

        def make(**settings: Any) -> Pulled:
            pulled = Pulled(make_config(**settings))
            stack.push_async_callback(pulled.pulls.stop)
            return pulled

        yield make


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def partial(folder: Path) -> list[Path]:
    return list(folder.glob(".partial-*"))


def told_to_all(pid: int) -> bytes:
    """Give what every process may know of another."""
    return b"".join(Path(f"/proc/{pid}/{file}").read_bytes() for file in ("cmdline", "environ"))


async def fails(pulled: Pulled, request: PullRequest, error: type[ServiceError]) -> ServiceError:
    with pytest.raises(error) as raised:
        await pulled.all(request)
    assert type(raised.value) is error
    return raised.value


async def test_progress_and_then_the_model(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, tmp_path: Path, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    pulled = make_pulls()
    *progress, model = await pulled.all()
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
    results = await asyncio.gather(*(pulled.all() for _ in range(5)))
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
    await pulled.all()
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
    caller = asyncio.create_task(pulled.all())
    await asyncio.to_thread(hub.wait_for_served, 50_000)
    # One that comes just now waits for the end of the old pull, and begins its own.
    caller.cancel()
    hub.bytes_per_second = None
    await pulled.all()
    assert caller.cancelled()
    assert pulled.names == ["tiny"]
    assert not new_children()


async def test_a_name_is_taken_once(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, tmp_path: Path
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    running = pulled.pulls.pull(REQUEST)
    await anext(running)
    for other in (
        PullRequest("hf:acme/other", name="tiny"),
        PullRequest("hf:acme/tiny", revision="v2"),
        PullRequest("hf:acme/tiny", token="hf_mine"),
    ):
        error = await fails(pulled, other, ModelExists)
        assert "being pulled from elsewhere" in str(error)
    await running.aclose()
    (tmp_path / "tiny").mkdir()
    error = await fails(pulled, REQUEST, ModelExists)
    assert error.metadata == {"model": "tiny"}
    assert str(tmp_path) not in str(error)


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (PullRequest("hf:acme/none"), SourceNotFound, "^the hub has no hf:acme/none$"),
        (PullRequest("hf:acme/private"), SourceNotAllowed, "private or gated"),
        (PullRequest("hf:acme/empty"), SourceRefused, "no OpenVINO export"),
        (
            PullRequest("hf:acme/private", token="hf_other"),
            SourceNotAllowed,
            "and the token, if one was given, doesn't open it$",
        ),
        (
            PullRequest("hf:acme/private", token="hf_key", sha256=(("config.json", "0" * 64),)),
            SourceRefused,
            r"^config\.json is not the file that was expected",
        ),
    ],
)
async def test_failures_have_a_meaning(
    hub: Hub,
    ir: dict[str, bytes],
    make_pulls: AnyCall,
    tmp_path: Path,
    request_: PullRequest,
    error: type[ServiceError],
    message: str,
) -> None:
    hub.add("acme/private", ir).token = "hf_key"
    hub.add("acme/empty", {"README.md": b"#"})
    pulled = make_pulls()
    with pytest.raises(error, match=message) as raised:
        await pulled.all(request_)
    assert raised.value.metadata == {"source": request_.source}
    assert not partial(tmp_path)
    assert not pulled.names


async def test_no_network(
    hub: Hub, make_pulls: AnyCall, monkeypatch: pytest.MonkeyPatch, new_children: AnyCall
) -> None:
    for source in ("hf:acme/tiny", "pypi:tiny==1"):
        error = await fails(make_pulls(offline=True), PullRequest(source), SourceUnreachable)
        assert str(error).startswith("offline: ")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = await fails(make_pulls(), REQUEST, SourceUnreachable)
    assert str(error).startswith("offline: ")
    assert hub.requests == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = await fails(make_pulls(), REQUEST, SourceUnreachable)
    assert "the hub doesn't answer" in str(error)


async def test_the_token_is_told_to_nobody(
    hub: Hub,
    ir: dict[str, bytes],
    make_pulls: AnyCall,
    new_children: AnyCall,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hub.add("acme/tiny", ir).token = "hf_secret"
    hub.bytes_per_second = SLOW
    pulled = make_pulls(hf_token="hf_secret")
    running = pulled.pulls.pull(REQUEST)
    await anext(running)
    (pid,) = new_children()
    assert b"hf_secret" not in told_to_all(pid)
    async for item in running:
        assert "hf_secret" not in repr(item)
    assert {asked.authorization for asked in hub.requests if asked.port == "storage"} == {None}
    assert "hf_secret" not in "".join(capfd.readouterr())


async def test_a_link_in_a_folder_leads_nowhere(make_pulls: AnyCall, tmp_path: Path) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    (allowed / "m").mkdir(parents=True)
    secret.mkdir()
    for name in ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml"):
        (allowed / "m" / name).write_text(name)
    (secret / "key").write_text("key")
    pulled = make_pulls(pull_sources=[f"file:{allowed}/*"])
    request = PullRequest(f"file:{allowed}/m")
    await pulled.all(request)
    shutil.rmtree(tmp_path / "m")
    (allowed / "m/config.json").symlink_to(secret / "key")
    error = await fails(pulled, request, SourceNotAllowed)
    assert str(secret) not in str(error)
    assert not (tmp_path / "m").exists()


async def test_stopping_ends_all(
    hub: Hub, ir: dict[str, bytes], make_pulls: AnyCall, new_children: AnyCall
) -> None:
    hub.add("acme/tiny", ir)
    hub.bytes_per_second = SLOW
    pulled = make_pulls()
    callers = [asyncio.create_task(pulled.all()) for _ in range(2)]
    await asyncio.to_thread(hub.wait_for_served, 50_000)
    await pulled.pulls.stop()
    for caller in callers:
        with pytest.raises(Draining):
            await caller
    assert not new_children()
    await fails(pulled, REQUEST, Draining)


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
    await pulled.all()
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


async def test_what_is_asked_for_is_checked_first(make_pulls: AnyCall) -> None:
    error = await fails(make_pulls(), PullRequest("hf:acme/tiny", name="../x"), InvalidArgument)
    assert error.metadata == {"field": "name"}
