"""Times that requests give, in seconds."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from inference_service.errors import InvalidArgument

MAX_SECONDS = 10 * 366 * 86400
_NANOSECONDS = 1_000_000_000


def seconds_from_proto(duration: Duration, field: str) -> float:
    """Check and convert a time of at most ten years, forth or back.

    Raises:
        InvalidArgument: It is longer, or its two parts are not those of a duration.

    """
    seconds, nanos = duration.seconds, duration.nanos
    if abs(nanos) >= _NANOSECONDS or seconds * nanos < 0:
        raise InvalidArgument(field, "is not a duration: its nanos are out of their range")
    if abs(seconds) > MAX_SECONDS:
        raise InvalidArgument(field, "is more than ten years")
    return seconds + nanos / _NANOSECONDS


def wait_from_proto(duration: Duration, field: str) -> float:
    """Check and convert a time to wait, which is zero or more.

    Raises:
        InvalidArgument: It is not.

    """
    seconds = seconds_from_proto(duration, field)
    if seconds < 0:
        raise InvalidArgument(field, "must not be negative")
    return seconds
