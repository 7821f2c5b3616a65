"""Any exception as an error object, and in the log if it is the server's fault."""

from __future__ import annotations

import re
from collections.abc import Mapping

import grpc
import structlog

from rest_gateway.openai import errors
from rest_gateway.openai.errors import REASONS, STATUSES, ApiError, Row
from rest_gateway.openai.names import Names
from rest_gateway.upstream import UpstreamError

# What gRPC says of a handshake that failed, at either end.
_TLS_FAILURE = re.compile(r"handshake failed|verification check failed|_ALERT_", re.IGNORECASE)
_TLS_UNTRUSTED = Row(
    503,
    "server_error",
    "service_untrusted",
    None,
    5,
    message="The gateway and the inference service don't trust each other's certificates; the "
    "gateway's log says why.",
)

# Causes of a failed load that last until somebody changes the model; the OpenAI and Anthropic
# packages try again after a 503 unless this header forbids it.
_LASTING_CAUSES = frozenset({"invalid_files", "invalid_settings", "unsupported"})
_NO_RETRY = {"x-should-retry": "false"}

_NAMES = Names()

log = structlog.get_logger(__name__)


def to_api_error(
    error: BaseException, names: Names = _NAMES, *, tell_causes: bool = False
) -> ApiError:
    """Say an exception in OpenAI's words. What the client isn't told is logged.

    Args:
        error: What happened.
        names: How the client calls the service's fields.
        tell_causes: Whether the client may know why a model could not be loaded, with paths of the
            server's.

    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UpstreamError):
        said = from_upstream(error.status, error.reason, error.message, error.metadata, names)
        if tell_causes and error.reason == "MODEL_LOAD_FAILED":
            said.message = error.message
        if said.status >= 500:
            log.warning(
                "upstream_failed",
                grpc_status=error.status.name,
                reason=error.reason,
                detail=error.message,
            )
        return said
    log.error("request_failed", exc_info=error)
    return errors.internal()


def from_upstream(
    status: grpc.StatusCode,
    reason: str | None,
    message: str,
    metadata: Mapping[str, str],
    names: Names = _NAMES,
) -> ApiError:
    """Say a failure of the service in OpenAI's words.

    Args:
        status: The RPC's status code.
        reason: The service's reason; None, or one this version doesn't know, is judged by `status`.
        message: The service's message; passed on only with a known reason.
        metadata: What the reason lists in errors.proto.
        names: How the client calls the service's fields.

    """
    row = REASONS.get(reason) if reason else None
    known = row is not None
    if row is None:
        row = STATUSES[status.name]
        if status is grpc.StatusCode.UNAVAILABLE and _TLS_FAILURE.search(message):
            row = _TLS_UNTRUSTED
    param = names.sent_as(row.param) if row.param else None
    text = row.message or message
    headers = errors.retry_after(row.retry_after) if row.retry_after else None
    if known and (named := metadata.get("field")):
        param = names.sent_as(named)
        # The service's messages begin with its own name of the field.
        text = f"{param}{text[len(named) :]}" if text.startswith(named) else text
    elif reason == "CONTEXT_LENGTH_EXCEEDED" and _prompt_fits(metadata):
        param = names.sent_as("sampling.max_tokens")
    elif reason == "MODEL_NOT_FOUND" and "model" in metadata:
        text = errors.model_not_found(metadata["model"]).message
    elif reason == "MODEL_NOT_READY" and {"model", "state"} <= metadata.keys():
        # Not the service's message: it holds the cause, with paths of the server's.
        text = f"The model {errors.model_is(metadata['model'], metadata['state'])}."
    elif reason == "MODEL_LOAD_FAILED" and "model" in metadata:  # as above
        cause = metadata.get("cause", "").replace("_", " ")
        text = f"The model {errors.model_is(metadata['model'], 'failed')}" + (
            f" ({cause})." if cause else "."
        )
    if reason == "MODEL_LOAD_FAILED" and metadata.get("cause") in _LASTING_CAUSES:
        headers = _NO_RETRY
    return ApiError(
        status=row.status,
        message=text,
        type=row.type,
        code=row.code,
        param=param,
        headers=headers,
        reason=reason or status.name,
    )


def _prompt_fits(metadata: Mapping[str, str]) -> bool:
    """Say whether it is only with the tokens asked for that a prompt is too long."""
    if "max_tokens" not in metadata:
        return False
    try:
        return int(metadata["prompt_tokens"]) < int(metadata["context_length"])
    except (KeyError, ValueError):
        return False
