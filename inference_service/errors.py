"""The service's exceptions. Each has one reason; only `rpc.interceptors` knows status codes.

ServiceError
├── InvalidArgument, Unsupported, ContextLengthExceeded, ChatTemplateError   the request's fault
├── ModelNotFound, ModelNotReady, KvCacheExhausted                           the model's state
├── ModelLoadFailed, MemoryExhausted, LoadCancelled, ModelInUse, ModelExists what became of a model
├── SourceNotFound, SourceUnreachable, SourceRefused, SourceNotAllowed,
│   DiskFull                                                                 where it comes from
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


class ModelLoadFailed(ServiceError):
    """The model could not be loaded."""

    reason = "MODEL_LOAD_FAILED"

    def __init__(self, model: str, cause: str, problem: str | None = None) -> None:
        why = problem or "its operator can see why"
        super().__init__(f"model {model!r} could not be loaded: {why}", model=model, cause=cause)


class MemoryExhausted(ServiceError):
    """A model doesn't fit into what is left of the memory budget."""

    reason = "MEMORY_EXHAUSTED"

    def __init__(self, model: str, needed: int, free: int, budget: int) -> None:
        super().__init__(
            f"model {model!r} needs {needed} bytes of memory; {free} of the budget of {budget} "
            "are free or could be made free; unload others, lower its kv_cache_bytes or raise "
            "memory_budget_bytes",
            model=model,
            needed_bytes=needed,
            free_bytes=free,
            budget_bytes=budget,
        )


class LoadCancelled(ServiceError):
    """The model was unloaded while it was loaded."""

    reason = "LOAD_CANCELLED"

    def __init__(self, model: str) -> None:
        super().__init__(f"the load of model {model!r} was cancelled", model=model)


class ModelExists(ServiceError):
    """There is a model of that name."""

    reason = "MODEL_EXISTS"

    def __init__(self, model: str, problem: str | None = None) -> None:
        super().__init__(problem or f"there is a model {model!r} already", model=model)


class ModelInUse(ServiceError):
    """The model can't be deleted now."""

    reason = "MODEL_IN_USE"

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"model {model!r} can't be deleted: {problem}", model=model)


class SourceNotFound(ServiceError):
    """The source has no such model."""

    reason = "SOURCE_NOT_FOUND"


class SourceUnreachable(ServiceError):
    """The source doesn't answer."""

    reason = "SOURCE_UNREACHABLE"


class SourceRefused(ServiceError):
    """What the source has can't be used."""

    reason = "SOURCE_REFUSED"


class SourceNotAllowed(ServiceError):
    """The source is not allowed here, or doesn't allow this server."""

    reason = "SOURCE_NOT_ALLOWED"


class DiskFull(ServiceError):
    """The disk has too little room."""

    reason = "DISK_FULL"


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
