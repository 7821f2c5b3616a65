"""A gateway in front of a real gRPC server whose answers the test writes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import uvicorn
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_status import rpc_status
from openvino_server.v1 import inference_pb2, inference_pb2_grpc, models_pb2, models_pb2_grpc

from rest_gateway.app import create_app
from rest_gateway.auth.keys import KeyStore
from rest_gateway.auth.scopes import SCOPES
from rest_gateway.config import GatewayConfig
from rest_gateway.middleware.header_size import HeaderSizeProtocol
from rest_gateway.upstream import Upstream

MODEL = "smollm"


@dataclass
class Failure:
    """A step of a script: end the RPC so."""

    code: grpc.StatusCode
    message: str = "it failed"
    reason: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    async def abort(self, context: grpc.aio.ServicerContext) -> None:
        if self.reason is None:
            await context.abort(self.code, self.message)
            return
        detail = any_pb2.Any()
        detail.Pack(
            error_details_pb2.ErrorInfo(
                reason=self.reason, domain="openvino-server", metadata=self.metadata
            )
        )
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=[detail])
        await context.abort_with_status(rpc_status.to_status(status))


class ScriptedService(
    inference_pb2_grpc.InferenceServiceServicer, models_pb2_grpc.ModelServiceServicer
):
    """Plays `script`: messages are sent, events awaited, failures end the RPC."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        # What `Tokenize` answers, where the script is for another call.
        self.tokens_of: Callable[[Any], Any] | None = None
        self.models: list[models_pb2.Model] = []
        self.requests: list[inference_pb2.GenerateRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.time_remaining: float | None = None
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def _play(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.time_remaining = context.time_remaining()
        ended = False

        # Not by an exception here: a generator that is cancelled at a `yield` sees none.
        def note(_context: Any) -> None:
            if not ended:
                self.cancelled.set()

        context.add_done_callback(note)
        self.started.set()
        for step in self.script:
            if isinstance(step, Failure):
                ended = True
                await step.abort(context)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step
        ended = True

    Generate = LoadModel = PullModel = WatchModels = _play

    async def _answer(self, request: Any, context: Any) -> Any:
        return await anext(self._play(request, context))

    UnloadModel = DeleteModel = _answer

    async def Tokenize(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        for step in [self.tokens_of(request)] if self.tokens_of else self.script:
            if isinstance(step, Failure):
                await step.abort(context)
            return step
        raise AssertionError

    Detokenize = Tokenize

    async def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.metadata.append(dict(context.invocation_metadata()))
        return models_pb2.ListModelsResponse(models=self.models)

    async def GetModel(self, request: Any, context: Any) -> Any:  # noqa: N802
        for model in self.models:
            if request.name in {model.name, *model.aliases}:
                return models_pb2.GetModelResponse(model=model)
        problem, name = f"no model is named {request.name!r}", request.name
        not_found = grpc.StatusCode.NOT_FOUND
        await Failure(not_found, problem, "MODEL_NOT_FOUND", {"model": name}).abort(context)
        raise AssertionError


class Events:
    """Writes the service's messages short."""

    @staticmethod
    def started(prompt_tokens: int = 7) -> inference_pb2.GenerateResponse:
        event = inference_pb2.GenerateEvent(
            started=inference_pb2.Started(prompt_tokens=prompt_tokens)
        )
        return inference_pb2.GenerateResponse(events=[event])

    @staticmethod
    def text(*texts: str) -> inference_pb2.GenerateResponse:
        return inference_pb2.GenerateResponse(
            events=[
                inference_pb2.GenerateEvent(text=inference_pb2.TextDelta(text=text))
                for text in texts
            ]
        )

    @staticmethod
    def finished(
        reason: Any = inference_pb2.FINISH_REASON_STOP, completion_tokens: int = 3
    ) -> inference_pb2.GenerateResponse:
        usage = inference_pb2.Usage(
            prompt_tokens=7,
            completion_tokens=completion_tokens,
            cached_tokens=4,
            reasoning_tokens=1,
        )
        event = inference_pb2.GenerateEvent(
            finished=inference_pb2.Finished(reason=reason, usage=usage)
        )
        return inference_pb2.GenerateResponse(events=[event])

    @classmethod
    def answer(cls, *texts: str) -> list[inference_pb2.GenerateResponse]:
        return [cls.started(), *(cls.text(text) for text in texts), cls.finished()]


@pytest.fixture
def events() -> type[Events]:
    return Events


@pytest.fixture
def failure() -> type[Failure]:
    return Failure


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService()


@pytest.fixture
def health() -> health_aio.HealthServicer:
    return health_aio.HealthServicer()


@pytest.fixture
async def service_port(
    service: ScriptedService, health: health_aio.HealthServicer
) -> AsyncIterator[int]:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 32 << 20)])
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(service, server)
    models_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


@pytest.fixture
async def upstream(service_port: int) -> AsyncIterator[Upstream]:
    upstream = Upstream(grpc.aio.insecure_channel(f"127.0.0.1:{service_port}"), 5)
    yield upstream
    await upstream.close()


@pytest.fixture
def config(tmp_path: Path) -> GatewayConfig:
    """Limits as they are; the certificates exist, and are used by no one here."""
    some_file = tmp_path / "some.pem"
    some_file.touch()
    names = ("tls_cert", "tls_key", "service_ca", "service_client_cert", "service_client_key")
    return GatewayConfig(
        **dict.fromkeys(names, some_file),
        keys_file=tmp_path / "keys.json",
        max_body_bytes=100_000,
        request_timeout_seconds=60,
    )


@pytest.fixture
def keys(config: GatewayConfig) -> KeyStore:
    return KeyStore.open(config.keys_file)


@pytest.fixture
def key(keys: KeyStore) -> str:
    return keys.create("test")[1]


@pytest.fixture
def admin_key(keys: KeyStore) -> str:
    return keys.create("admin", SCOPES)[1]


@pytest.fixture
def app(config: GatewayConfig, upstream: Upstream, keys: KeyStore) -> Any:
    return create_app(config, upstream, keys)


@pytest.fixture
async def client(app: Any, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the application in this process; whole answers only."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway",
        headers={"authorization": f"Bearer {key}"},
    ) as client:
        yield client


class _TestServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def server(app: Any) -> AsyncIterator[_TestServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = _TestServer(
        uvicorn.Config(
            app,
            http=HeaderSizeProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.up.wait()
    server.url = "http://{}:{}".format(*listener.getsockname())  # type: ignore[attr-defined]
    yield server
    server.should_exit = True
    await task


@pytest.fixture
async def live_client(server: Any, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the application over a socket, so that streams are streams."""
    async with httpx.AsyncClient(
        base_url=server.url, headers={"authorization": f"Bearer {key}"}, timeout=10
    ) as client:
        yield client


@pytest.fixture
def ask() -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
