"""The service's exceptions. Each has one reason; only `rpc.interceptors` knows status codes.

ServiceError
├── InvalidArgument, Unsupported, ContextLengthExceeded, ChatTemplateError   the request's fault
├── ModelNotFound, ModelNotReady, KvCacheExhausted                           the model's state
├── QueueFull, ReaderTooSlow, Draining                                       load
├── WorkerLost                                                               the engine's fault
└── ClientNotAllowed                                                         the caller's identity
"""

from __future__ import annotations

from typing import ClassVar

_MESSAGE_BYTES = 1000
_METADATA_BYTES = 500


class ServiceError(Exception):
    """A failure with a meaning for the caller.

    Long texts are cut: they travel as HTTP/2 trailers, of which peers take no more than 8 KiB.

    Attributes:
        reason: The name of a value of `ErrorReason` in errors.proto, without its prefix.
        metadata: What the caller may need to act on it; the keys that the proto lists.

    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: str | int | None) -> None:
        super().__init__(_cut(message, _MESSAGE_BYTES))
        self.metadata = {
            key: _cut(str(value), _METADATA_BYTES)
            for key, value in metadata.items()
            if value is not None
        }


class InvalidArgument(ServiceError):
    """A field of the request has a value that can't be used."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", field=field)


class Unsupported(ServiceError):
    """The request asks for what this server or model can't do."""

    reason = "UNSUPPORTED"

    def __init__(self, feature: str, message: str | None = None, field: str | None = None) -> None:
        super().__init__(message or f"{feature} is not supported", feature=feature, field=field)


class ContextLengthExceeded(ServiceError):
    """Prompt and completion together are longer than the model's context."""

    reason = "CONTEXT_LENGTH_EXCEEDED"


class ChatTemplateError(ServiceError):
    """The chat template refused the messages, or there is none."""

    reason = "CHAT_TEMPLATE"


class ModelNotFound(ServiceError):
    """No model of that name is known."""

    reason = "MODEL_NOT_FOUND"

    def __init__(self, model: str) -> None:
        super().__init__(f"no model is named {model!r}", model=model)


class ModelNotReady(ServiceError):
    """The model is known and can't answer now."""

    reason = "MODEL_NOT_READY"

    def __init__(self, model: str, state: str) -> None:
        what = {
            "failed": "could not be loaded; the server's log says why",
            "unloaded": "is not loaded",
        }.get(state, f"is {state}")
        super().__init__(f"model {model!r} {what}", model=model, state=state)


class KvCacheExhausted(ServiceError):
    """The key-value cache can't hold the prompt, even alone."""

    reason = "KV_CACHE_EXHAUSTED"


class QueueFull(ServiceError):
    """As much waits for the model as may wait."""

    reason = "QUEUE_FULL"

    def __init__(self, model: str, limit: int) -> None:
        super().__init__(
            f"model {model!r} has no room for the request now: {limit} run and wait at most, each "
            "completion asked for being one",
            model=model,
            limit=limit,
        )


class ReaderTooSlow(ServiceError):
    """The reader left more unread than it may."""

    reason = "READER_TOO_SLOW"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"the stream was not read: more than {limit_bytes} bytes waited",
            limit_bytes=limit_bytes,
        )


class Draining(ServiceError):
    """The server is shutting down."""

    reason = "DRAINING"

    def __init__(self) -> None:
        super().__init__("the server is shutting down")


class WorkerLost(ServiceError):
    """The engine worker that ran the request is gone; the request can be sent again."""

    reason = "WORKER_LOST"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"the engine worker of model {model!r} was lost; send the request again", model=model
        )


class ClientNotAllowed(ServiceError):
    """None of the names in the client's certificate is allowed."""

    reason = "CLIENT_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("the client certificate's names are not allowed here")


def _cut(text: str, limit_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit_bytes:
        return text
    return encoded[:limit_bytes].decode(errors="ignore") + "…"
