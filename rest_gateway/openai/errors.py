"""OpenAI's error objects, and the one table that says which failure becomes which.

Source of the shape: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from rest_gateway.openai.shown import quoted

_INVALID = "invalid_request_error"
_PERMISSION = "permission_error"
_RATE = "rate_limit_error"
_SERVER = "server_error"


@dataclass(slots=True)
class ApiError(Exception):
    """A request that ends in an error object.

    Attributes:
        status: The HTTP status.
        message: What went wrong, for the client's developer.
        type: OpenAI's class of errors.
        code: What programs branch on; None if there is nothing more to say than the type.
        param: The request's parameter at fault, such as `messages[0].content`.
        headers: Further headers of the response.
        reason: The name for the log.

    """

    status: int
    message: str
    type: str = _INVALID
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return self.message

    def body(self) -> bytes:
        """Write the error object as JSON."""
        return msgspec.json.encode(
            {
                "error": {
                    "message": self.message,
                    "type": self.type,
                    "param": self.param,
                    "code": self.code,
                }
            }
        )


@dataclass(frozen=True, slots=True)
class Row:
    """What a failure of the service becomes.

    Attributes:
        status: The HTTP status.
        type: OpenAI's class of errors.
        code: The error's code.
        param: The service's name of the field at fault, where the reason alone tells.
        retry_after: Seconds after which to try again; None if that won't help.
        message: Said in place of the service's message; None passes that on.

    """

    status: int
    type: str
    code: str | None
    param: str | None = None
    retry_after: int | None = None
    message: str | None = None


# The keys are names of `ErrorReason`, and, for failures that the service gave no reason for (they
# are gRPC's own, or the network's), names of gRPC status codes with a message of ours: theirs are
# full of addresses.
REASONS: Mapping[str, Row] = {
    "INTERNAL": Row(500, _SERVER, "internal_error"),
    "INVALID_ARGUMENT": Row(400, _INVALID, "invalid_value"),
    "CONTEXT_LENGTH_EXCEEDED": Row(400, _INVALID, "context_length_exceeded", "chat.messages"),
    "MODEL_NOT_FOUND": Row(404, _INVALID, "model_not_found", "model"),
    "MODEL_NOT_READY": Row(503, _SERVER, "model_not_ready", "model", 5),
    "WORKER_LOST": Row(503, _SERVER, "worker_lost", None, 1),
    "QUEUE_FULL": Row(429, _RATE, "queue_full", None, 1),
    "READER_TOO_SLOW": Row(429, _RATE, "reader_too_slow", None, 1),
    "DRAINING": Row(503, _SERVER, "server_draining", None, 1),
    # The caller's key was good: it is the gateway's certificate that the service refuses.
    "CLIENT_NOT_ALLOWED": Row(
        502,
        _SERVER,
        "gateway_not_allowed",
        message="The gateway is not allowed to call the inference service; its operator must add "
        "the gateway's certificate name to the service's allowed client names.",
    ),
    "UNSUPPORTED": Row(400, _INVALID, "unsupported"),
    "CHAT_TEMPLATE": Row(400, _INVALID, "chat_template_error", "chat.messages"),
    # Not 429: the prompt will not fit later either, and clients would try again and again.
    "KV_CACHE_EXHAUSTED": Row(400, _INVALID, "kv_cache_exhausted", "chat.messages"),
    "MODEL_LOAD_FAILED": Row(503, _SERVER, "model_load_failed", "model", 5),
    "MEMORY_EXHAUSTED": Row(503, _SERVER, "memory_exhausted", "model", 5),
    "LOAD_CANCELLED": Row(409, _SERVER, "load_cancelled", "model"),
    "MODEL_EXISTS": Row(409, _INVALID, "model_exists", "name"),
    "MODEL_IN_USE": Row(409, _INVALID, "model_in_use", "model"),
    "SOURCE_NOT_FOUND": Row(404, _INVALID, "source_not_found", "source"),
    "SOURCE_UNREACHABLE": Row(502, _SERVER, "source_unreachable", "source"),
    "SOURCE_REFUSED": Row(400, _INVALID, "source_refused", "source"),
    "SOURCE_NOT_ALLOWED": Row(403, _PERMISSION, "source_not_allowed", "source"),
    "DISK_FULL": Row(507, _SERVER, "disk_full"),
}
STATUSES: Mapping[str, Row] = {
    "CANCELLED": Row(
        499, _INVALID, "request_cancelled", message="The request was cancelled before it ended."
    ),
    "UNKNOWN": Row(500, _SERVER, "internal_error", message="The inference service failed."),
    "INVALID_ARGUMENT": Row(
        400, _INVALID, "invalid_value", message="The inference service refused the request."
    ),
    "DEADLINE_EXCEEDED": Row(
        504, _SERVER, "timeout", message="The request took longer than this server allows."
    ),
    "NOT_FOUND": Row(404, _INVALID, "not_found", message="There is no such thing here."),
    "ALREADY_EXISTS": Row(409, _INVALID, "already_exists", message="It exists already."),
    "PERMISSION_DENIED": Row(
        403, _PERMISSION, "permission_denied", message="This is not permitted."
    ),
    "RESOURCE_EXHAUSTED": Row(
        429, _RATE, "overloaded", None, 1, message="The inference service is overloaded."
    ),
    "FAILED_PRECONDITION": Row(
        400, _INVALID, "failed_precondition", message="The server is not in a state to do this."
    ),
    "ABORTED": Row(409, _SERVER, "aborted", message="The request met another one; try again."),
    "OUT_OF_RANGE": Row(
        400, _INVALID, "invalid_value", message="The inference service refused the request."
    ),
    "UNIMPLEMENTED": Row(
        501, _SERVER, "not_implemented", message="The inference service can't do this."
    ),
    "INTERNAL": Row(500, _SERVER, "internal_error", message="The inference service failed."),
    "UNAVAILABLE": Row(
        503,
        _SERVER,
        "service_unavailable",
        None,
        1,
        message="The inference service can't be reached.",
    ),
    "DATA_LOSS": Row(500, _SERVER, "internal_error", message="The inference service failed."),
    "UNAUTHENTICATED": Row(
        401, _INVALID, "unauthenticated", message="The inference service refused the identity."
    ),
}


def retry_after(seconds: int) -> dict[str, str]:
    """Name the time after which to try again."""
    return {"retry-after": str(seconds)}


def internal() -> ApiError:
    """Say that something failed that has no name; the cause is in the log only."""
    return ApiError(
        500,
        "The server had an error while processing the request; its log has the cause under the "
        "request id.",
        _SERVER,
        "internal_error",
        reason="INTERNAL",
    )


def invalid_api_key(message: str) -> ApiError:
    """Say that a request has no valid key."""
    return ApiError(
        401,
        message,
        code="invalid_api_key",
        headers={"www-authenticate": "Bearer"},
        reason="invalid_api_key",
    )


def insufficient_permissions(scope: str) -> ApiError:
    """Say that a request's key may not be used for this.

    Args:
        scope: What the key would have to have.

    """
    return ApiError(
        403,
        f"The API key has insufficient permissions for this. It lacks the scope: {scope}",
        _PERMISSION,
        "insufficient_permissions",
        reason="insufficient_permissions",
    )


def body_too_large(limit: int) -> ApiError:
    """Say that a body is over the limit.

    Args:
        limit: In bytes.

    """
    return ApiError(
        413,
        f"The request's body is larger than {limit} bytes.",
        code="request_too_large",
        reason="request_too_large",
    )


def shutting_down() -> ApiError:
    """Say that the gateway ends before the request does."""
    return ApiError(
        503,
        "The gateway is shutting down.",
        _SERVER,
        "server_draining",
        headers=retry_after(1),
        reason="DRAINING",
    )


def headers_too_large(limit: int) -> ApiError:
    """Say that the request's line and headers are over the limit.

    Args:
        limit: In bytes.

    """
    return ApiError(
        431,
        f"The request's line and headers are larger than {limit} bytes.",
        code="headers_too_large",
        reason="headers_too_large",
    )


def model_not_found(name: str) -> ApiError:
    """Say that there is no such model."""
    return ApiError(
        404,
        f"The model {quoted(name)} does not exist.",
        code="model_not_found",
        param="model",
        reason="MODEL_NOT_FOUND",
    )


def model_is(name: str, state: str) -> str:
    """Say in a sentence's words, without its end, why a model does not answer.

    Args:
        name: The model's.
        state: As `ModelState` names it, in lower case.

    """
    states = {
        "failed": "could not be loaded; the server's log says why",
        "unloaded": "is not loaded",
        "draining": "is being unloaded",
    }
    return f"{quoted(name)} {states.get(state, f'is {state}')}"


def broken_stream(what: str) -> ApiError:
    """Say that the service broke the protocol.

    Args:
        what: What came.

    """
    return ApiError(
        502,
        f"The inference service sent what this gateway can't use: {what}.",
        _SERVER,
        "bad_gateway",
        reason="BAD_GATEWAY",
    )
