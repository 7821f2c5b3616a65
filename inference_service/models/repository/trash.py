"""Removing files so that what is removed is there whole, or not at all.

What is to go is first renamed to a hidden name in the models' folder. What a crash leaves of that
is removed later.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

PREFIX = ".trash-"


def hidden_in(directory: Path) -> Path:
    """Give a name that nothing has; what is renamed to it is gone as far as anyone can see."""
    return directory / f"{PREFIX}{secrets.token_hex(8)}"


def remove(path: Path) -> None:
    """Remove a file or folder for good; someone else may do so at the same time.

    Raises:
        OSError: Some of it can't be removed.

    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_reraise)
    else:
        path.unlink(missing_ok=True)


def leftovers(directory: Path) -> list[Path]:
    """Find what was renamed and not removed."""
    with os.scandir(directory) as entries:
        return [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]


def _reraise(
    _function: Any, _path: str, error: tuple[type[BaseException], BaseException, TracebackType]
) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
