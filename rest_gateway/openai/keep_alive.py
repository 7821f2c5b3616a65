"""How long a model stays loaded after a request, as clients of Ollama say it.

Sources: https://github.com/ollama/ollama/blob/main/docs/faq.md (`keep_alive`) and
https://pkg.go.dev/time#ParseDuration
"""

from __future__ import annotations

import math
import re
from typing import Annotated

from google.protobuf.duration_pb2 import Duration
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from rest_gateway.openai.parameters import Parameter, supported
from rest_gateway.openai.strict import StrictModel

MAX_SECONDS = 10 * 365 * 86400
_MAX_LENGTH = 64
_NANOSECONDS = 1_000_000_000
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART = re.compile(rf"({_NUMBER})({_UNIT})")
_DURATION = re.compile(rf"[+-]?(?:{_NUMBER}|(?:{_NUMBER}(?:{_UNIT}))+)")

PARAMETER: Parameter = supported(
    "Ollama's: how long the model stays loaded after this request if no other comes, in seconds or "
    'as `"5m"` or `"1h30m"`; 0 unloads it then, less than 0 keeps it; not of pinned models'
)


def _seconds(value: object) -> object:
    """Read a number of seconds, or a duration such as `1h30m`."""
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > _MAX_LENGTH or not _DURATION.fullmatch(value):
            raise PydanticCustomError(
                "keep_alive", "must be a number of seconds, or a duration such as '5m' or '1h30m'"
            )
        sign, text = (-1, value[1:]) if value[0] == "-" else (1, value.removeprefix("+"))
        parts = _PART.findall(text)
        number = sum(float(n) * _UNITS[unit] for n, unit in parts) if parts else float(text)
        value = sign * number
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("keep_alive_type", "must be a number or a string")
    # Compared as they are: an integer in JSON may be too large for a float.
    if (isinstance(value, float) and math.isnan(value)) or not -MAX_SECONDS <= value <= MAX_SECONDS:
        raise PydanticCustomError("keep_alive", "must be at most ten years, forth or back")
    return float(value)


KeepAlive = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": -MAX_SECONDS, "maximum": MAX_SECONDS},
                {"type": "string", "examples": ["5m", "1h30m", "0", "-1"]},
            ]
        }
    ),
]


class KeepAliveFields(StrictModel):
    """How long the model stays loaded after the request."""

    keep_alive: KeepAlive | None = Field(None)


def keep_alive_to_proto(request: KeepAliveFields) -> Duration | None:
    """Say it in the service's terms; what the client left out stays unset."""
    if request.keep_alive is None:
        return None
    duration = Duration()
    duration.FromNanoseconds(round(request.keep_alive * _NANOSECONDS))
    return duration
