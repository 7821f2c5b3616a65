"""The service as a process, as operators run it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

AnyCall = Callable[..., Any]
TIMEOUT_SECONDS = 30


class ServiceProcess:
    """`python -m inference_service`, its log, and a client of it once it listens."""

    def __init__(self, process: asyncio.subprocess.Process, connect: AnyCall) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.output = ""
        self._connect = connect

    async def logged(self, event: str) -> dict[str, Any]:
        """Read its log up to an event."""
        assert self.process.stdout
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not self.log or self.log[-1]["event"] != event:
                line = await self.process.stdout.readline()
                assert line, f"it ended without {event}: {self.output}"
                self.output += line.decode()
                self.log.append(json.loads(line))
        return self.log[-1]

    async def client(self, model: str = "echo") -> Any:
        """Wait until a model is ready; return a client."""
        port = (await self.logged("server.listening"))["port"]
        while (await self.logged("model.state"))["state"] != "ready":
            self.log.append({"event": ""})
        client = self._connect(port)
        assert (await client.replica(model)).pid
        return client

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str, str]:
        """Wait for its end: exit status, all of standard output, all of standard error."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            output, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, self.output + output.decode(), errors.decode()


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended and nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def libraries(pid: int) -> set[str]:
    """The shared libraries that a process has loaded."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]).name for line in maps if ".so" in line}


@pytest.fixture
async def start(
    certs: Path, tmp_path: Path, write_fake_model: AnyCall, connect: AnyCall
) -> AsyncIterator[AnyCall]:
    """Give a function that starts the service as a process with one slow model."""
    write_fake_model(tmp_path / "models", "echo", fake_step_seconds=0.02)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OVS_")}
    environment |= {
        "OVS_SERVICE_TLS_CERT": str(certs / "service.pem"),
        "OVS_SERVICE_TLS_KEY": str(certs / "service-key.pem"),
        "OVS_SERVICE_TLS_CLIENT_CA": str(certs / "ca.pem"),
        "OVS_SERVICE_MODELS_DIR": str(tmp_path / "models"),
        "OVS_SERVICE_PORT": "0",
        "PYTHONWARNINGS": "error",
        "PYTHONUNBUFFERED": "1",
    }
    async with AsyncExitStack() as stack:

        async def run(*flags: str, **variables: str) -> ServiceProcess:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "inference_service", *flags),
                env=environment | variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )

            async def end() -> None:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()

            stack.push_async_callback(end)
            return ServiceProcess(process, connect)

        yield run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_drains_and_leaves_nothing(
    start: AnyCall, eventually: AnyCall, number: signal.Signals
) -> None:
    service = await start()
    client = await service.client()
    worker = (await client.replica()).pid
    answer = asyncio.create_task(client.answer("a text of some steps"))
    await client.replica_when(lambda replica: replica.steps)
    # OpenVINO is in workers alone; this is the real process, with a request under way.
    loaded = libraries(service.process.pid)
    assert not [name for name in loaded if "openvino" in name]
    assert any("cygrpc" in name for name in loaded)
    service.signal(number)
    assert (await answer).text == "a text of some steps"
    status, output, errors = await service.ended()
    assert (status, errors) == (0, "")
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events[-1] == "server.stopped"
    assert "server.draining" in events
    assert "worker.output" not in events  # the worker had nothing to complain of
    await eventually(lambda: not runs(worker))


async def test_second_signal_ends_it_at_once(start: AnyCall, eventually: AnyCall) -> None:
    service = await start("--drain-timeout-seconds", "60")
    client = await service.client()
    worker = (await client.replica()).pid
    call = client.generate("abc", ignore_eos=True)
    await call.read()
    service.signal(signal.SIGTERM)
    await service.logged("server.draining")
    service.signal(signal.SIGTERM)
    status, _, _ = await service.ended()
    assert status == -signal.SIGTERM
    await eventually(lambda: not runs(worker))


async def test_worker_ends_when_the_service_is_killed(start: AnyCall, eventually: AnyCall) -> None:
    service = await start()
    client = await service.client()
    worker = (await client.replica()).pid
    call = client.generate("abc", ignore_eos=True)
    await call.read()
    service.signal(signal.SIGKILL)
    await eventually(lambda: not runs(worker))
    with pytest.raises(grpc.aio.AioRpcError):
        await client.replica()
    await client.channel.close()


async def test_port_in_use_is_one_clear_line(start: AnyCall) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = await start(f"--port={port}")
        status, output, _ = await service.ended()
    assert status == 1
    lines = [json.loads(line) for line in output.splitlines()]
    (failed,) = [line for line in lines if line["level"] == "error"]
    assert failed["event"] == "server.failed"
    assert failed["cause"] == f"can't listen on 127.0.0.1:{port}: the address is in use"
    assert not [line for line in lines if line["event"] == "model.state"]  # nothing was started


@pytest.mark.parametrize(
    ("flags", "variables", "told"),
    [
        (
            ["--port=70000"],
            {"OVS_SERVICE_MAX_UNREAD_BYTES": "1", "OVS_SERVICE_MODELS_DIR": "nowhere"},
            [
                "port (OVS_SERVICE_PORT)",
                "max_unread_bytes (OVS_SERVICE_MAX_UNREAD_BYTES)",
                "models_dir (OVS_SERVICE_MODELS_DIR)",
            ],
        ),
        ([], {"OVS_SERVICE_TLS_CERT": __file__}, [f"tls_cert: {__file__}"]),
        (["--config={broken}"], {}, ["Invalid value"]),
        (["--config=nowhere.toml"], {}, ["no file nowhere.toml"]),
    ],
)
async def test_configuration_that_cannot_be_used_is_told_whole(
    start: AnyCall, tmp_path: Path, flags: list[str], variables: dict[str, str], told: list[str]
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("port = [")
    service = await start(*(flag.format(broken=broken) for flag in flags), **variables)
    status, output, errors = await service.ended()
    assert (status, output) == (2, "")
    assert [text for text in told if text not in errors] == []
    assert "Traceback" not in errors
