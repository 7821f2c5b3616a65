"""A service of its own, with small models of the real engine that come and go."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2 as probe_pb2
from grpc_health.v1 import health_pb2_grpc as probe_pb2_grpc
from grpc_status import rpc_status
from openvino_server.v1 import (
    health_pb2,
    health_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    models_pb2,
    models_pb2_grpc,
)

from benchmarks.server import free_port
from inference_service.engine.memory import process_memory, total_memory

END_SECONDS = 60
MIB = 1 << 20


@dataclass
class Service:
    """A running service, and a client that may do everything."""

    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel
    models_dir: Path
    sources: Path
    log: Path
    inference: Any = field(init=False)
    models: Any = field(init=False)
    health: Any = field(init=False)
    probe: Any = field(init=False)

    def __post_init__(self) -> None:
        self.inference = inference_pb2_grpc.InferenceServiceStub(self.channel)
        self.models = models_pb2_grpc.ModelServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthServiceStub(self.channel)
        self.probe = probe_pb2_grpc.HealthStub(self.channel)

    async def load(self, name: str, **how: Any) -> models_pb2.Model:
        """Load a model, and return it as it is then."""
        call = self.models.LoadModel(models_pb2.LoadModelRequest(name=name, **how))
        *_, last = [answer.model async for answer in call]
        return last

    async def unload(self, name: str, seconds: float | None = None) -> models_pb2.Model:
        request = models_pb2.UnloadModelRequest(name=name)
        if seconds is not None:
            request.drain_timeout.CopyFrom(duration_pb2.Duration(nanos=int(seconds * 1e9)))
        return (await self.models.UnloadModel(request)).model

    async def pull(self, name: str, source: str, **how: Any) -> models_pb2.Model:
        request = models_pb2.PullModelRequest(name=name, source=source, **how)
        *_, last = [answer async for answer in self.models.PullModel(request)]
        return last.model

    async def delete(self, name: str, *, unload: bool = False) -> None:
        await self.models.DeleteModel(models_pb2.DeleteModelRequest(name=name, unload=unload))

    async def generate(self, model: str, max_tokens: int = 8, prompt: str = "Once upon") -> str:
        """Generate just so many tokens, and return their text."""
        sampling = inference_pb2.SamplingParams(
            max_tokens=max_tokens, ignore_eos=True, temperature=0
        )
        call = self.inference.Generate(
            inference_pb2.GenerateRequest(model=model, prompt=prompt, sampling=sampling),
            timeout=END_SECONDS,
        )
        events = [event async for answer in call for event in answer.events]
        assert events[-1].finished.usage.completion_tokens == max_tokens
        return "".join(event.text.text for event in events)

    async def states(self) -> dict[str, str]:
        """Return the state of each model."""
        listed = await self.models.ListModels(models_pb2.ListModelsRequest())
        name = models_pb2.ModelState.Name
        return {m.name: name(m.state).removeprefix("MODEL_STATE_").lower() for m in listed.models}

    async def status(self) -> health_pb2.GetStatusResponse:
        return await self.health.GetStatus(health_pb2.GetStatusRequest())

    async def is_serving(self, name: str) -> bool:
        answer = await self.probe.Check(probe_pb2.HealthCheckRequest(service=name))
        return bool(answer.status == probe_pb2.HealthCheckResponse.SERVING)

    async def unload_all(self) -> None:
        await asyncio.gather(*(self.unload(name) for name in await self.states()))

    def resident_bytes(self) -> int:
        """Return the memory of the service's own process."""
        return process_memory(self.process.pid) or 0

    def children(self) -> set[int]:
        """Return the processes under the service's."""
        return _descendants(self.process.pid)

    def all_bytes(self) -> int:
        """Return the memory of the service and all under it."""
        return total_memory([self.process.pid, *self.children()])


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found |= {child} | _descendants(child)
    return found


@pytest.fixture(scope="session")
def reason_of() -> Any:
    """Give a function that names the reason of a failed RPC."""

    def reason(error: grpc.aio.AioRpcError) -> str:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        assert status is not None, error
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        return info.reason

    return reason


@pytest.fixture(scope="session")
def start_service(certs: Path) -> Any:
    """Give a function that runs a service until its block ends, and sees that it ends well."""

    @asynccontextmanager
    async def start(
        root: Path, load: Iterable[str] = (), **settings: object
    ) -> AsyncIterator[Service]:
        models_dir, sources, port = root / "models", root / "sources", free_port()
        for folder in (models_dir, sources):
            folder.mkdir(exist_ok=True)
        values = {
            "port": port,
            "tls_cert": certs / "service.pem",
            "tls_key": certs / "service-key.pem",
            "tls_client_ca": certs / "ca.pem",
            "models_dir": models_dir,
            "load_models": ",".join(load),
            "load_on_request": True,
            "pull_sources": f"file:{sources}/*",
            **settings,
        }
        environment = {f"OVS_SERVICE_{name.upper()}": str(value) for name, value in values.items()}
        log = root / "service.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "inference_service"),
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )
        credentials = grpc.ssl_channel_credentials(
            (certs / "ca.pem").read_bytes(),
            (certs / "gateway-key.pem").read_bytes(),
            (certs / "gateway.pem").read_bytes(),
        )
        try:
            async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
                await asyncio.wait_for(channel.channel_ready(), END_SECONDS)
                yield Service(process, channel, models_dir, sources, log)
        finally:
            left = _descendants(process.pid)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(process.wait(), END_SECONDS)
        assert code == 0, log.read_text()
        assert not [pid for pid in left if process_memory(pid) is not None], "orphans"

    return start


@pytest.fixture(scope="session")
async def service(
    start_service: Any, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service whose models the tests pull from `sources/tiny`."""
    root = tmp_path_factory.mktemp("service")
    shutil.copytree(tiny_model, root / "sources" / "tiny")
    (root / "sources" / "tiny" / "model.toml").write_text(f"kv_cache_bytes = {32 * MIB}\n")
    async with start_service(root) as running:
        yield running
