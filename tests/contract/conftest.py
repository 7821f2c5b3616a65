"""Services with the fake engine, spoken to over real mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2_grpc as probe_pb2_grpc
from grpc_status import rpc_status
from openvino_server.v1 import (
    chat_pb2,
    health_pb2,
    health_pb2_grpc,
    inference_pb2,
    inference_pb2_grpc,
    models_pb2_grpc,
)

from benchmarks.server import local_server
from inference_service.config import ServiceConfig
from inference_service.server import Server

TIMEOUT_SECONDS = 20
Refusal = tuple[grpc.StatusCode, str, dict[str, str]]


@dataclass(frozen=True)
class Answer:
    """What a stream gave."""

    responses: list[inference_pb2.GenerateResponse]

    @property
    def events(self) -> list[inference_pb2.GenerateEvent]:
        return [event for response in self.responses for event in response.events]

    @property
    def text(self) -> str:
        return "".join(event.text.text for event in self.events)

    @property
    def finished(self) -> inference_pb2.Finished:
        return self.events[-1].finished


class Client:
    """A channel to a service with every stub on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.inference = inference_pb2_grpc.InferenceServiceStub(channel)
        self.models = models_pb2_grpc.ModelServiceStub(channel)
        self.health = health_pb2_grpc.HealthServiceStub(channel)
        self.probe = probe_pb2_grpc.HealthStub(channel)

    def generate(
        self,
        text: str | list[chat_pb2.ChatMessage],
        model: str = "echo",
        *,
        timeout: float = TIMEOUT_SECONDS,
        **sampling: Any,
    ) -> Any:
        """Begin to generate: an answer to a user who says the text, or to a conversation."""
        if isinstance(text, str):
            part = chat_pb2.ContentPart(text=text)
            text = [chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=[part])]
        request = inference_pb2.GenerateRequest(
            model=model,
            chat=chat_pb2.ChatInput(messages=text),
            sampling=inference_pb2.SamplingParams(**sampling),
        )
        return self.inference.Generate(request, timeout=timeout)

    async def answer(self, *arguments: Any, **sampling: Any) -> Answer:
        """Generate, and read to the end."""
        call = self.generate(*arguments, **sampling)
        return Answer([response async for response in call])

    async def replica(self, model: str = "echo") -> health_pb2.ReplicaStatus:
        """Ask for the state of a model's worker."""
        status = await self.health.GetStatus(health_pb2.GetStatusRequest(), timeout=TIMEOUT_SECONDS)
        return next(replica for replica in status.replicas if replica.model == model)

    async def replica_when(
        self, condition: Callable[[health_pb2.ReplicaStatus], object], model: str = "echo"
    ) -> health_pb2.ReplicaStatus:
        """Wait until the state of a model's worker is as wanted; return it."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition(replica := await self.replica(model)):  # noqa: ASYNC110 - remote
                await asyncio.sleep(0.01)
        return replica

    async def at_rest(self, model: str = "echo") -> health_pb2.ReplicaStatus:
        """Wait until a model's worker has nothing to do; return its state."""
        return await self.replica_when(
            lambda replica: not replica.outstanding_requests and not replica.kv_cache_usage, model
        )


@pytest.fixture(scope="session")
def credentials(certs: Path) -> Callable[..., grpc.ChannelCredentials]:
    """Give a function that makes the credentials of the gateway, or of another."""

    def make(name: str | None = "gateway", folder: Path = certs) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            root_certificates=(certs / "ca.pem").read_bytes(),
            private_key=(folder / f"{name}-key.pem").read_bytes() if name else None,
            certificate_chain=(folder / f"{name}.pem").read_bytes() if name else None,
        )

    return make


@pytest.fixture(scope="session")
async def connect(
    credentials: Callable[..., grpc.ChannelCredentials],
) -> AsyncIterator[Callable[..., Client]]:
    """Give a function that connects to a port; channels are closed at the end of all tests."""
    async with AsyncExitStack() as stack:

        def make(
            port: int,
            identity: grpc.ChannelCredentials | None = None,
            options: tuple[tuple[str, Any], ...] = (),
        ) -> Client:
            channel = grpc.aio.secure_channel(
                f"localhost:{port}", identity or credentials(), options=options
            )
            stack.push_async_callback(channel.close)
            return Client(channel)

        yield make


class Service:
    """A server in this process, and a client of it."""

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client

    @property
    def port(self) -> int:
        return self.server.port


StartService = Callable[..., Awaitable[Service]]


@pytest.fixture(scope="session")
async def start_service_for_all(
    certs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    write_fake_model: Callable[..., Path],
    connect: Callable[..., Client],
    eventually: Callable[..., Awaitable[None]],
) -> AsyncIterator[StartService]:
    """Give a function that starts a service, which is stopped after all tests at the latest."""
    async with AsyncExitStack() as stack:

        async def start(
            models: dict[str, dict[str, object]] | None = None,
            *,
            wait_ready: bool = True,
            **settings: object,
        ) -> Service:
            models_dir = tmp_path_factory.mktemp("models")
            for name, values in (models or {"echo": {}}).items():
                write_fake_model(models_dir, name, **values)
            server = Server(
                ServiceConfig(
                    port=0,
                    tls_cert=certs / "service.pem",
                    tls_key=certs / "service-key.pem",
                    tls_client_ca=certs / "ca.pem",
                    models_dir=models_dir,
                    **{"drain_timeout_seconds": 0.1} | settings,
                )
            )
            stack.push_async_callback(server.stop)
            await server.start()
            if wait_ready:
                await eventually(lambda: server.registry.ready)
            return Service(server, connect(server.port))

        yield start


@pytest.fixture
def start_service(start_service_for_all: StartService) -> StartService:
    """Give a function that starts a service of the test's own."""
    return start_service_for_all


@pytest.fixture(scope="session")
async def service(start_service_for_all: StartService) -> Service:
    """A service that tests share, with models of all kinds."""
    return await start_service_for_all(
        {
            "echo": {"context_length": 1000},
            "slow": {"fake_step_seconds": 0.05},
            "bare": {"context_length": 32, "template": None},
            "broken": {"no_such_setting": 1},
            "unloaded": {},
        },
        load_models=["echo", "slow", "bare"],
    )


@pytest.fixture(scope="session")
def client(service: Service) -> Client:
    """A client of the shared service."""
    return service.client


@dataclass(frozen=True)
class Api:
    """A whole server in processes of its own, with the fake engine: HTTPS in front, gRPC behind.

    `model` echoes the last message of the user, `slow` does so at 20 tokens a second, `thinker`
    reasons between `<think>` and `</think>`, and `bare` has no chat template. `base_url` ends in
    `/v1`; `ca` is the file to trust; `env` is what `client.env` exports.
    """

    base_url: str
    key: str
    ca: Path
    env: Mapping[str, str]
    model: str = "echo"
    slow: str = "slow"
    bare: str = "bare"
    thinker: str = "thinker"


@pytest.fixture(scope="session")
def api(
    tmp_path_factory: pytest.TempPathFactory, write_fake_model: Callable[..., Path]
) -> Iterator[Api]:
    """A server for all clients of REST."""
    state = tmp_path_factory.mktemp("state")
    models: dict[str, dict[str, object]] = {
        "echo": {},
        "slow": {"fake_step_seconds": 0.05},
        "bare": {"template": None},
        "embedder": {"kind": '"embedding"'},
        "thinker": {"reasoning_parser": '"think"', "context_length": 65536},
    }
    for name, values in models.items():
        # Pinned: a request's `keep_alive` must not unload what other tests use.
        write_fake_model(state / "models", name, pinned="true", **values)
    with local_server(state, "echo", list(models)) as running:
        env = running.env
        yield Api(running.base_url, running.api_key, Path(env["SSL_CERT_FILE"]), env)


@pytest.fixture(scope="session")
def reason_of() -> Callable[[grpc.aio.AioRpcError], Refusal]:
    """Give a function that decodes an error: its status code, reason and metadata."""

    def decode(error: grpc.aio.AioRpcError) -> Refusal:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        assert status is not None, error
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "openvino-server"
        return error.code(), info.reason, dict(info.metadata)

    return decode


@pytest.fixture(scope="session")
def refusal(
    reason_of: Callable[[grpc.aio.AioRpcError], Refusal],
) -> Callable[[Any], Awaitable[Refusal]]:
    """Give a function that awaits a failing call, and decodes its error."""

    async def read(call: Any) -> None:
        async for _ in call:
            pass

    async def await_refusal(call: Any) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (read(call) if hasattr(call, "__aiter__") else call)
        return reason_of(caught.value)

    return await_refusal
