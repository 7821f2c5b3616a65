"""Failures of the service, with a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

ERROR_DOMAIN = "openvino-server"

_Answer = TypeVar("_Answer")


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


async def answer_of(call: Awaitable[_Answer]) -> _Answer:
    """Wait for an RPC's answer.

    Raises:
        UpstreamError: It failed.

    """
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise error_from_rpc(error) from error
