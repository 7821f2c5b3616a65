"""The service as a whole: registry, servicers, interceptors, port, drain."""

from __future__ import annotations

import asyncio

import grpc.aio
import structlog

from inference_service.config import ServiceConfig
from inference_service.domain import ModelState
from inference_service.embedding import Embedder
from inference_service.generation import Generator
from inference_service.models.registry import Registry
from inference_service.rpc.health import ProbeHealth
from inference_service.rpc.interceptors import Drain, RequestInterceptor
from inference_service.rpc.registration import register
from inference_service.tls import server_credentials

_STOP_GRACE_SECONDS = 1  # after the drain: what remains are watches, which never end by themselves
_MAX_MESSAGE_BYTES = 32 << 20
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the port is a mistake, not a share of the load
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
_log = structlog.get_logger(__name__)


class PortInUse(Exception):
    """The address can't be listened on."""


class Server:
    """The running service. `start`, then `stop` whatever happens.

    Args:
        config: What to run with.

    Attributes:
        port: The port that gRPC listens on, once started.
        registry: The models.

    """

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self._drain = Drain()
        self._probe = ProbeHealth()
        self._states: dict[str, ModelState] = {}
        self._probe_is_due = False
        self.registry = Registry(config, self._on_change)
        self.port = 0
        self._server = grpc.aio.server(
            interceptors=[RequestInterceptor(config.allowed_client_names, self._drain)],
            options=_OPTIONS,
        )
        generator = Generator(self.registry, config.max_unread_bytes)
        embedder = Embedder(self.registry)
        register(self._server, self.registry, generator, embedder, self._probe, self._drain)

    async def start(self) -> None:
        """Listen, and begin to load the models; probes say NOT_SERVING until they are ready.

        Raises:
            PortInUse: The port can't be had.

        """
        address = f"{self._config.host}:{self._config.port}"
        try:
            self.port = self._server.add_secure_port(address, server_credentials(self._config))
        except RuntimeError as error:
            raise PortInUse(f"can't listen on {address}: the address is in use") from error
        await self.registry.start()
        self._probe.update(self.registry)
        await self._server.start()
        _log.info("server.listening", host=self._config.host, port=self.port)

    async def stop(self) -> None:
        """Drain: refuse new requests, let the running ones end in their time, end the workers."""
        _log.info("server.draining", timeout_seconds=self._config.drain_timeout_seconds)
        self._probe.drain()
        left = await self._drain.wait_idle(self._config.drain_timeout_seconds)
        if left:
            _log.warning("server.drain_timeout", requests_cancelled=left)
        await self._server.stop(_STOP_GRACE_SECONDS)
        await self.registry.stop()
        _log.info("server.stopped")

    def _on_change(self, model: str) -> None:
        state = self.registry.state(model)
        if state is not self._states.pop(model, None):
            _log.info("model.state", model=model, state=state.value if state else "gone")
        if state:
            self._states[model] = state
        if not self._probe_is_due:  # many models may change at once
            self._probe_is_due = True
            asyncio.get_running_loop().call_soon(self._update_probe)

    def _update_probe(self) -> None:
        self._probe_is_due = False
        self._probe.update(self.registry)
