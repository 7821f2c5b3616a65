"""Wheels, which are ZIP files that anyone may have made."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference_service.models.sources.errors import ModelRefused

_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    NotImplementedError,  # a compression that Python doesn't know
    RuntimeError,  # a password
    ValueError,  # a place before the beginning
)


@contextmanager
def opened_wheel(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """Open a wheel to be read in the block.

    Raises:
        ModelRefused: It, or what is read of it, is damaged.

    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except _DAMAGES as error:
        raise ModelRefused(f"{wheel.name} is damaged: {error}") from error
