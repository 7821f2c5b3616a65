"""Any exception as an error object, and in the log if it is the server's fault."""

from __future__ import annotations

import structlog

from rest_gateway.openai import errors
from rest_gateway.openai.errors import ApiError
from rest_gateway.upstream import UpstreamError

log = structlog.get_logger(__name__)


def to_api_error(error: BaseException) -> ApiError:
    """Say an exception in OpenAI's words. What the client isn't told is logged."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UpstreamError):
        said = errors.from_upstream(error.status, error.reason, error.message, error.metadata)
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
