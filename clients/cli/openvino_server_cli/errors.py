"""How a command fails: with one clear message and an exit code, not a traceback."""

from __future__ import annotations

import errno
import os

DEBUG_VARIABLE = "OVS_DEBUG"
"""Set to anything, it shows the traceback of an expected failure too."""


class Failure(Exception):
    """A failure that the user can act on. The message is for the user."""


def in_one_line(error: OSError) -> str:
    """Say what the operating system refused."""
    path = f" {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full, so writing{path} failed"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write or read{path} ({os.strerror(error.errno)})"
    return f"{error.strerror or error}{':' if path else ''}{path}"
