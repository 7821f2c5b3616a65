"""What a worker rejects, as the service's exceptions."""

from __future__ import annotations

from inference_service.engine import frames
from inference_service.errors import (
    ContextLengthExceeded,
    InvalidArgument,
    KvCacheExhausted,
    ServiceError,
    Unsupported,
)


def error_of(rejected: frames.Rejected, model: str) -> ServiceError:
    """Return the exception for a rejection by the worker of a model."""
    message, metadata = rejected.message, rejected.metadata
    match rejected.reason:
        case InvalidArgument.reason:
            field = str(metadata["field"])
            return InvalidArgument(field, message.removeprefix(f"{field}: "))
        case ContextLengthExceeded.reason:
            return ContextLengthExceeded(message, **metadata)
        case KvCacheExhausted.reason:
            return KvCacheExhausted(message, model=model, **metadata)
        case Unsupported.reason:
            return Unsupported(str(metadata["feature"]), message)
        case unknown:
            raise ValueError(f"a rejection for {unknown}")
