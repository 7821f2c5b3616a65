"""What the service and the process of a pull or a conversion say to each other, as JSON lines.

The order comes on the process's input, so that a token is in no command line and no environment.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from inference_service.models.sources import errors
from inference_service.models.sources.errors import InvalidOption, NotEnoughSpace, PullError
from inference_service.models.sources.progress import Progress


class Compression(msgspec.Struct, frozen=True):
    """How to compress weights; see `WeightCompression` in the domain."""

    format: Literal["int8", "int4_sym", "int4_asym"]
    group_size: int | None = None


class PullOrder(msgspec.Struct, frozen=True, kw_only=True, tag="pull"):
    """Fetch a model into a folder of models; see `PullRequest` in the domain.

    `file_patterns` is what files on disk must match; `None` is any.
    """

    models_dir: str
    name: str
    source: str
    revision: str | None = None
    allow_patterns: tuple[str, ...] = ()
    token: str | None = None
    companions: str | None = None
    sha256: tuple[tuple[str, str], ...] = ()
    compression: Compression | None = None
    offline: bool = False
    file_patterns: tuple[str, ...] | None = None


class ConvertOrder(msgspec.Struct, frozen=True, kw_only=True, tag="convert"):
    """Write the IR of a file into a folder of a cache."""

    weights: str
    cache_root: str


Order: TypeAlias = PullOrder | ConvertOrder


class Progressed(msgspec.Struct, frozen=True, tag="progress"):
    """How far it has come; see `Progress`."""

    stage: str
    completed_bytes: int | None = None
    total_bytes: int | None = None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is done; `folder` is where the model is."""

    folder: str


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It failed; `kind` is the name of a class in `errors`."""

    kind: str
    message: str
    field: str | None = None
    needed_bytes: int | None = None
    free_bytes: int | None = None


Report: TypeAlias = Progressed | Done | Failed

_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


def encode(message: Order | Report) -> bytes:
    """Write a message as a line."""
    return msgspec.json.encode(message) + b"\n"


def decode_order(line: bytes) -> Order:
    """Read an order.

    Raises:
        msgspec.DecodeError: It is none.

    """
    order: Order = _orders.decode(line)
    return order


def decode_report(line: bytes) -> Report:
    """Read what the process says.

    Raises:
        msgspec.DecodeError: It is no report.

    """
    report: Report = _reports.decode(line)
    return report


def progress_of(report: Progressed) -> Progress:
    """Read how far it has come."""
    return Progress(report.stage, report.completed_bytes, report.total_bytes)


def failed(error: PullError) -> Failed:
    """Write down an error."""
    message = error.problem if isinstance(error, InvalidOption) else str(error)
    return Failed(
        kind=type(error).__name__,
        message=message,
        field=getattr(error, "field", None),
        needed_bytes=getattr(error, "needed_bytes", None),
        free_bytes=getattr(error, "free_bytes", None),
    )


def error_of(report: Failed) -> PullError:
    """Read an error."""
    kind = getattr(errors, report.kind)
    if kind is InvalidOption:
        return InvalidOption(report.field or "", report.message)
    if kind is NotEnoughSpace:
        return NotEnoughSpace(report.message, report.needed_bytes, report.free_bytes)
    error: PullError = kind(report.message)
    return error
