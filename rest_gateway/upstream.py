"""The service as the gateway sees it: one gRPC channel, and failures with a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from openvino_server.v1 import inference_pb2, inference_pb2_grpc, models_pb2, models_pb2_grpc

from rest_gateway.config import GatewayConfig
from rest_gateway.tls import channel_credentials

ERROR_DOMAIN = "openvino-server"

_Answer = TypeVar("_Answer")

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


@dataclass(slots=True)
class UpstreamError(Exception):
    """An RPC failed.

    Attributes:
        status: The gRPC status code.
        reason: The name of an `ErrorReason` without its prefix; None if the failure is not one
            that the service named, but gRPC's own or the network's.
        message: What happened. Fit for the client only if there is a reason.
        metadata: What the reason lists in errors.proto.

    """

    status: grpc.StatusCode
    reason: str | None
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status.name} {self.reason or ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class HealthProblem:
    """Why the service does not serve.

    Attributes:
        reason: For people.
        answered: Whether the service said so itself, and so can be asked more.

    """

    reason: str
    answered: bool


class Generation(Protocol):
    """A running `Generate` call: iterate it to its end, or cancel it."""

    def __aiter__(self) -> Self:
        """Give the iterator, which is the call itself."""

    async def __anext__(self) -> inference_pb2.GenerateResponse:
        """Wait for the next message.

        Raises:
            StopAsyncIteration: The call ended well.
            UpstreamError: The call failed, or was cancelled by `cancel`.

        """

    def cancel(self) -> None:
        """End the call now. Does nothing to a call that has ended."""


class Upstream:
    """The service's RPCs that the gateway needs.

    Args:
        channel: The channel to the service; closed by `close`.
        timeout_seconds: Deadline of every RPC but `generate`.

    """

    def __init__(self, channel: grpc.aio.Channel, timeout_seconds: float = 2) -> None:
        self._channel = channel
        self._timeout = timeout_seconds
        self._inference = inference_pb2_grpc.InferenceServiceStub(channel)
        self._models = models_pb2_grpc.ModelServiceStub(channel)
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
        return cls(channel, config.health_timeout_seconds)

    def generate(
        self, request: inference_pb2.GenerateRequest, request_id: str, timeout: float
    ) -> Generation:
        """Start a completion.

        Args:
            request: What to complete.
            request_id: Names the request in the service's log.
            timeout: Seconds until the call fails with DEADLINE_EXCEEDED.

        """
        call = self._inference.Generate(request, timeout=timeout, metadata=_metadata(request_id))
        return _GrpcGeneration(call)

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
            request, timeout=timeout_seconds, metadata=_metadata(request_id)
        )
        return await _answer(call)

    async def embed(
        self, request: inference_pb2.EmbedRequest, request_id: str, timeout_seconds: float
    ) -> inference_pb2.EmbedResponse:
        """Turn texts or token ids into vectors; otherwise as `tokenize`."""
        call = self._inference.Embed(
            request, timeout=timeout_seconds, metadata=_metadata(request_id)
        )
        return await _answer(call)

    async def rerank(
        self, request: inference_pb2.RerankRequest, request_id: str, timeout_seconds: float
    ) -> inference_pb2.RerankResponse:
        """Score documents by how well they answer a query; otherwise as `tokenize`."""
        call = self._inference.Rerank(
            request, timeout=timeout_seconds, metadata=_metadata(request_id)
        )
        return await _answer(call)

    async def list_models(self, request_id: str) -> list[models_pb2.Model]:
        """List the service's models, in any state.

        Raises:
            UpstreamError: The RPC failed.

        """
        call = self._models.ListModels(
            models_pb2.ListModelsRequest(), timeout=self._timeout, metadata=_metadata(request_id)
        )
        return list((await _answer(call)).models)

    async def get_model(self, name: str, request_id: str) -> models_pb2.Model:
        """Get one model, in any state.

        Raises:
            UpstreamError: The RPC failed; with reason MODEL_NOT_FOUND if there is no such model.

        """
        call = self._models.GetModel(
            models_pb2.GetModelRequest(name=name),
            timeout=self._timeout,
            metadata=_metadata(request_id),
        )
        return (await _answer(call)).model

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
            status = (await _answer(call)).status
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


class _GrpcGeneration:
    """`Generation` over a grpc.aio call.

    It reads message by message: gRPC's own iterator is an async generator, and what is left of
    one ends when the garbage collector comes by.
    """

    def __init__(self, call: grpc.aio.UnaryStreamCall[Any, inference_pb2.GenerateResponse]) -> None:
        self._call = call
        self._cancelled = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> inference_pb2.GenerateResponse:
        try:
            message = await self._call.read()
        except asyncio.CancelledError:
            # gRPC raises this for a call cancelled here, too; only a cancelled task is to unwind.
            task = asyncio.current_task()
            if self._cancelled and not (task and task.cancelling()):
                raise UpstreamError(grpc.StatusCode.CANCELLED, None, "cancelled here") from None
            raise
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return cast("inference_pb2.GenerateResponse", message)

    def cancel(self) -> None:
        self._cancelled = True
        self._call.cancel()


def error_from_rpc(error: grpc.aio.AioRpcError) -> UpstreamError:
    """Read the reason out of a failed RPC's status."""
    message = error.details() or ""
    try:
        status = rpc_status.from_call(cast("grpc.Call", error))
    except (ValueError, DecodeError):
        status = None  # details that contradict the status are as good as none
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == ERROR_DOMAIN:
            return UpstreamError(error.code(), info.reason, message, dict(info.metadata))
    return UpstreamError(error.code(), None, message)


def _metadata(request_id: str) -> tuple[tuple[str, str], ...]:
    return (("x-request-id", request_id),)


async def _answer(call: Awaitable[_Answer]) -> _Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error) from error
