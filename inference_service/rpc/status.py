"""Exceptions to RPC statuses: the one table from a reason to a gRPC status code."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from inference_service.errors import ServiceError

DOMAIN = "openvino-server"

STATUS_CODES: dict[str, grpc.StatusCode] = {
    "INTERNAL": grpc.StatusCode.INTERNAL,
    "INVALID_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "CONTEXT_LENGTH_EXCEEDED": grpc.StatusCode.INVALID_ARGUMENT,
    "MODEL_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "MODEL_NOT_READY": grpc.StatusCode.UNAVAILABLE,
    "WORKER_LOST": grpc.StatusCode.UNAVAILABLE,
    "QUEUE_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "READER_TOO_SLOW": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "DRAINING": grpc.StatusCode.UNAVAILABLE,
    "CLIENT_NOT_ALLOWED": grpc.StatusCode.PERMISSION_DENIED,
    "UNSUPPORTED": grpc.StatusCode.UNIMPLEMENTED,
    "CHAT_TEMPLATE": grpc.StatusCode.INVALID_ARGUMENT,
    "KV_CACHE_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "MODEL_LOAD_FAILED": grpc.StatusCode.FAILED_PRECONDITION,
    "MEMORY_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "LOAD_CANCELLED": grpc.StatusCode.ABORTED,
    "MODEL_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "MODEL_IN_USE": grpc.StatusCode.FAILED_PRECONDITION,
    "SOURCE_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "SOURCE_UNREACHABLE": grpc.StatusCode.UNAVAILABLE,
    "SOURCE_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "SOURCE_NOT_ALLOWED": grpc.StatusCode.PERMISSION_DENIED,
    "DISK_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def status_of(error: ServiceError) -> grpc.Status:
    """Return the RPC status of an error: code, message, and `google.rpc.ErrorInfo`."""
    detail = any_pb2.Any()
    detail.Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    )
    code = getattr(code_pb2, STATUS_CODES[error.reason].name)
    return rpc_status.to_status(status_pb2.Status(code=code, message=str(error), details=[detail]))
