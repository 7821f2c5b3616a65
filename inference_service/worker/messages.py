"""What the engine's messages mean: they name places in its source, and what they were given."""

from __future__ import annotations

import re

_CHARACTERS = 500
# The place in xgrammar's source that a message begins with: "[12:34:56] /build/x.cc:75: ".
_PLACE = re.compile(r"\[\d\d:\d\d:\d\d\] \S+?\.(?:cc|cpp|h):\d+: ")
# What a failed assertion of OpenVINO puts before its message.
_ASSERTION = re.compile(r"(?:Exception from|Check '.*?' failed at) \S+?\.(?:cc|cpp|h|hpp):\d+:?\s*")
_CHECK = re.compile(r"(?:Internal check|Check) failed: \(.*?\) is false: ")
_ECHO = re.compile(r"\. The JSON string is:.*", re.DOTALL)


def cleaned(message: str) -> str:
    """Return the meaning of a message in at most 500 characters; empty, if it has none."""
    message = _PLACE.split(message)[-1]
    message = _ASSERTION.split(message)[-1]
    message = _ECHO.sub("", _CHECK.sub("", message))
    return message.strip()[:_CHARACTERS]
