"""The log: lines on standard output, as JSON or for people."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import structlog
from starlette.types import Scope
from structlog.typing import Processor

_RECORD = "rest_gateway.record"

log = structlog.get_logger("rest_gateway.access")


@dataclass(slots=True)
class RequestRecord:
    """What the log says of one request. Each layer fills in what it learns.

    Attributes:
        request_id: Names the request here and in the service's log.
        method: The HTTP method.
        path: The path without the query.
        status: The HTTP status; 499 if the client left before it was sent.
        key_id: Which API key was used.
        model: Which model was asked for.
        stream: Whether a stream was asked for.
        prompt_tokens: Tokens in the prompt.
        completion_tokens: Tokens generated.
        finish_reason: Why the completion ended, in OpenAI's words.
        error: Why the request failed: an `ErrorReason`, a gRPC status or an OpenAI code.
        level: How severe the line is.

    """

    request_id: str
    method: str
    path: str
    status: int | None = None
    key_id: str | None = None
    model: str | None = None
    stream: bool | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    error: str | None = None
    level: Literal["debug", "info"] = "info"
    _started: float = field(default_factory=time.perf_counter, repr=False)

    def elapsed_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return round((time.perf_counter() - self._started) * 1000, 3)

    def write(self) -> None:
        """Write the access line."""
        known = {
            "status": self.status,
            "key_id": self.key_id,
            "model": self.model,
            "stream": self.stream,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "finish_reason": self.finish_reason,
            "error": self.error,
        }
        write = log.debug if self.level == "debug" else log.info
        write(
            "request",
            request_id=self.request_id,
            method=self.method,
            path=self.path,
            duration_ms=self.elapsed_ms(),
            **{name: value for name, value in known.items() if value is not None},
        )


def attach_record(scope: Scope, record: RequestRecord) -> None:
    """Make a request's record known to the layers below."""
    scope[_RECORD] = record


def record_of(scope: Scope) -> RequestRecord:
    """Find a request's record."""
    return cast("RequestRecord", scope[_RECORD])


def configure_logging(
    level: Literal["debug", "info", "warning", "error"], log_format: Literal["json", "console"]
) -> None:
    """Send all lines, also those of libraries, to standard output in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    # Tracebacks without local variables: those hold prompts and keys.
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared[:-1],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # What uvicorn says at info is said here better: the address, the access lines, the drain.
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel("WARNING")
    uvicorn.addFilter(_is_no_cancellation)


def _is_no_cancellation(line: logging.LogRecord) -> bool:
    """Leave out the traceback of each request that is cancelled when the drain time is over."""
    error: Any = line.exc_info[1] if line.exc_info else None
    return not isinstance(error, asyncio.CancelledError)
