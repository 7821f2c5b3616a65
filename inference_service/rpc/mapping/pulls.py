"""What is to be fetched, and how far that has come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from openvino_server.v1 import models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc.mapping.models import model_name_from_proto, model_to_proto

MAX_SOURCE = 2048
MAX_REVISION = 256
MAX_TOKEN = 4096
MAX_PATTERNS = 64
MAX_DIGESTS = 4096
MAX_PATH = 1024
MAX_GROUP_SIZE = 1 << 16

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
# It becomes a part of an HTTP header.
_TOKEN = re.compile(r"[!-~]+", re.ASCII)
_FORMATS: dict[int, Literal["int8", "int4_sym", "int4_asym"]] = {
    models_pb2.WEIGHT_FORMAT_INT8: "int8",
    models_pb2.WEIGHT_FORMAT_INT4_SYM: "int4_sym",
    models_pb2.WEIGHT_FORMAT_INT4_ASYM: "int4_asym",
}


def pull_request_from_proto(request: models_pb2.PullModelRequest) -> domain.PullRequest:
    """Check and convert a request; whether the source is one is not known yet.

    Raises:
        InvalidArgument: A field is missing or out of its range.

    """
    return domain.PullRequest(
        source=_text("source", request.source, MAX_SOURCE),
        name=model_name_from_proto(request.name, "name") if request.name else None,
        revision=_text("revision", request.revision, MAX_REVISION)
        if request.HasField("revision")
        else None,
        allow_patterns=_patterns(request.allow_patterns),
        token=_token(request.token) if request.HasField("token") else None,
        companions=_text("companions", request.companions, MAX_SOURCE)
        if request.HasField("companions")
        else None,
        sha256=_digests(request),
        compression=_compression_from_proto(request.compression)
        if request.HasField("compression")
        else None,
    )


def pull_progress_to_proto(
    progress: domain.PullProgress | domain.ModelInfo,
) -> models_pb2.PullModelResponse:
    """Convert a step of a fetch, or the model that is its end."""
    if isinstance(progress, domain.ModelInfo):
        return models_pb2.PullModelResponse(
            completed_bytes=progress.size_bytes,
            total_bytes=progress.size_bytes,
            stage="done",
            model=model_to_proto(progress),
        )
    return models_pb2.PullModelResponse(
        completed_bytes=progress.completed_bytes or 0,
        total_bytes=progress.total_bytes,
        stage=progress.stage,
    )


def _text(field: str, text: str, most: int) -> str:
    if not text:
        raise InvalidArgument(field, "is required" if field == "source" else "is empty")
    if len(text) > most:
        raise InvalidArgument(field, f"is longer than {most} characters")
    if not text.isprintable():
        raise InvalidArgument(field, "has characters that can't be printed")
    return text


def _patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    if len(patterns) > MAX_PATTERNS:
        raise InvalidArgument("allow_patterns", f"at most {MAX_PATTERNS} are allowed")
    return tuple(
        _text(f"allow_patterns[{index}]", pattern, MAX_PATH)
        for index, pattern in enumerate(patterns)
    )


def _token(token: str) -> str:
    # No part of it in the message, which is logged.
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise InvalidArgument("token", f"must be 1 to {MAX_TOKEN} visible ASCII characters")
    return token


def _digests(request: models_pb2.PullModelRequest) -> tuple[tuple[str, str], ...]:
    if len(request.sha256) > MAX_DIGESTS:
        raise InvalidArgument("sha256", f"at most {MAX_DIGESTS} are allowed")
    for path, digest in request.sha256.items():
        _text("sha256", path, MAX_PATH)
        if not _SHA256.fullmatch(digest):
            problem = f"the digest of {path!r} must be 64 hexadecimal digits"
            raise InvalidArgument("sha256", problem)
    return tuple(sorted((path, digest.lower()) for path, digest in request.sha256.items()))


def _compression_from_proto(wanted: models_pb2.WeightCompression) -> domain.WeightCompression:
    number_format = _FORMATS.get(wanted.format)
    if number_format is None:
        raise InvalidArgument("compression.format", "is required: one of INT8, INT4_SYM, INT4_ASYM")
    if not wanted.HasField("group_size"):
        return domain.WeightCompression(number_format)
    field = "compression.group_size"
    if number_format == "int8":
        raise InvalidArgument(field, "is of 4-bit formats only")
    if not 1 <= wanted.group_size <= MAX_GROUP_SIZE:
        raise InvalidArgument(field, f"must be 1 to {MAX_GROUP_SIZE}")
    return domain.WeightCompression(number_format, wanted.group_size)
