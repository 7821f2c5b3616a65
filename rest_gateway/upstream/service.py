"""The service's RPCs over one gRPC channel."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from openvino_server.v1 import inference_pb2, inference_pb2_grpc

from rest_gateway.config import GatewayConfig
from rest_gateway.tls import channel_credentials
from rest_gateway.upstream.errors import UpstreamError, answer_of
from rest_gateway.upstream.generation import Generation
from rest_gateway.upstream.metadata import metadata_of
from rest_gateway.upstream.models import Models
from rest_gateway.upstream.stream import GrpcStream

_OPTIONS: list[tuple[str, str | int]] = [
    # Pings find a dead peer where TCP would take minutes, also while a long prompt is computed and
    # no data flows. The service must allow pings this often.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The default backs off to two minutes, long after a restarted service is there again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),  # a request's size is limited as HTTP already
    (
        "grpc.service_config",
        json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}),
    ),
]


@dataclass(frozen=True, slots=True)
class HealthProblem:
    """Why the service does not serve.

    Attributes:
        reason: For people.
        answered: Whether the service said so itself, and so can be asked more.

    """

    reason: str
    answered: bool


class Upstream:
    """The service's RPCs that the gateway needs.

    Args:
        channel: The channel to the service; closed by `close`.
        timeout_seconds: Deadline of health checks, and of RPCs that tell of models.
        admin_timeout_seconds: Deadline of RPCs that change models; None for no deadline.

    Attributes:
        models: The RPCs about models.

    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        timeout_seconds: float = 2,
        admin_timeout_seconds: float | None = None,
    ) -> None:
        self.models = Models(channel, timeout_seconds, admin_timeout_seconds)
        self._channel = channel
        self._timeout = timeout_seconds
        self._inference = inference_pb2_grpc.InferenceServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    @classmethod
    def connect(cls, config: GatewayConfig) -> Upstream:
        """Make a channel to the configured service, with TLS on both sides.

        Connects at the first call. Must run in the event loop.

        Raises:
            TlsProblem: Certificates or keys can't be used.

        """
        channel = grpc.aio.secure_channel(
            config.service_address,
            channel_credentials(config),
            options=[*_OPTIONS, ("grpc.ssl_target_name_override", config.service_name)],
        )
        return cls(channel, config.health_timeout_seconds, config.admin_timeout_seconds)

    def generate(
        self, request: inference_pb2.GenerateRequest, request_id: str, timeout: float
    ) -> Generation:
        """Start a completion.

        Args:
            request: What to complete.
            request_id: Names the request in the service's log.
            timeout: Seconds until the call fails with DEADLINE_EXCEEDED.

        """
        call = self._inference.Generate(request, timeout=timeout, metadata=metadata_of(request_id))
        return GrpcStream(call)

    async def tokenize(
        self, request: inference_pb2.TokenizeRequest, request_id: str, timeout_seconds: float
    ) -> inference_pb2.TokenizeResponse:
        """Turn a text or a conversation into token ids.

        Args:
            request: What to tokenize.
            request_id: Names the request in the service's log.
            timeout_seconds: Seconds until the call fails with DEADLINE_EXCEEDED.

        Raises:
            UpstreamError: The RPC failed.

        """
        call = self._inference.Tokenize(
            request, timeout=timeout_seconds, metadata=metadata_of(request_id)
        )
        return await answer_of(call)

    async def detokenize(
        self, request: inference_pb2.DetokenizeRequest, request_id: str, timeout_seconds: float
    ) -> inference_pb2.DetokenizeResponse:
        """Turn token ids into text; otherwise as `tokenize`."""
        call = self._inference.Detokenize(
            request, timeout=timeout_seconds, metadata=metadata_of(request_id)
        )
        return await answer_of(call)

    async def embed(
        self, request: inference_pb2.EmbedRequest, request_id: str, timeout_seconds: float
    ) -> inference_pb2.EmbedResponse:
        """Turn texts or token ids into vectors; otherwise as `tokenize`."""
        call = self._inference.Embed(
            request, timeout=timeout_seconds, metadata=metadata_of(request_id)
        )
        return await answer_of(call)

    async def rerank(
        self, request: inference_pb2.RerankRequest, request_id: str, timeout_seconds: float
    ) -> inference_pb2.RerankResponse:
        """Score documents by how well they answer a query; otherwise as `tokenize`."""
        call = self._inference.Rerank(
            request, timeout=timeout_seconds, metadata=metadata_of(request_id)
        )
        return await answer_of(call)

    async def check_health(self, service: str = "") -> HealthProblem | None:
        """Ask by the stock health protocol whether the service answers.

        Args:
            service: A model's name, or empty for the server as a whole.

        Returns:
            None if it serves, else why not. Never raises for a failed RPC: that is an answer.

        """
        call = cast("_HealthCheck", self._health).Check(
            health_pb2.HealthCheckRequest(service=service), timeout=self._timeout
        )
        try:
            status = (await answer_of(call)).status
        except UpstreamError as error:
            reason = f"the inference service can't be asked: {error.status.name}"
            return HealthProblem(reason, answered=False)
        if status == health_pb2.HealthCheckResponse.SERVING:
            return None
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        return HealthProblem(f"the inference service answers {name}", answered=True)

    async def close(self) -> None:
        """Close the channel; running calls are cancelled."""
        await self._channel.close()


class _HealthCheck(Protocol):
    """The one method of the health stub, which its published types leave out."""

    Check: Callable[..., grpc.aio.UnaryUnaryCall[Any, health_pb2.HealthCheckResponse]]
