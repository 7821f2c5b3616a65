"""The files of a model, and reading them without waiting.

What is read is looked up in a list that was made before (see `listing`), so a name in a model's own
files reaches nothing that the list doesn't have.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from inference_service.domain import LoadFailureCause

_LONGEST_TEXT_BYTES = 32 << 20
_CLOCK_TICK_NS = 2_000_000_000


class InvalidModel(Exception):
    """A model can't be used; the message says why, for its operator.

    Attributes:
        cause: The same for programs.

    """

    def __init__(
        self, message: str, cause: LoadFailureCause = LoadFailureCause.INVALID_FILES
    ) -> None:
        # What files say may be no Unicode; messages travel as UTF-8.
        super().__init__(message.encode(errors="replace").decode())
        self.cause = cause


@dataclass(frozen=True, slots=True)
class FileStat:
    """What tells that a file has changed; `size` is in bytes, the times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def settled(self) -> bool:
        """Whether another change would show: clocks of file systems tick in up to 2 seconds."""
        return abs(time.time_ns() - self.mtime_ns) > _CLOCK_TICK_NS


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The regular files of a model.

    Attributes:
        folder: What their paths are relative to.
        stats: By path, with `/` between its parts, sorted.

    """

    folder: Path
    stats: Mapping[str, FileStat]

    def __contains__(self, name: str) -> bool:
        return name in self.stats

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.stats.values())

    def find(self, name: str) -> str | None:
        """Find a file that the model itself names, such as `lora/a.safetensors`.

        Returns:
            The path in `stats`; `None` if the folder has no such file, or the name leads out of it.

        """
        path = PurePosixPath(name).as_posix()  # without a leading `./`
        return path if path in self.stats else None

    def read(self, name: str) -> bytes | None:
        """Read a file whole; `None` if there is none.

        Raises:
            InvalidModel: It can't be read, or is too large for what it should be.

        """
        if name not in self.stats:
            return None
        try:
            with open_file(self.folder / name) as file:
                content = file.read(_LONGEST_TEXT_BYTES + 1)
        except OSError as error:
            raise InvalidModel(f"{name}: {error.strerror}") from error
        if len(content) > _LONGEST_TEXT_BYTES:
            raise InvalidModel(f"{name}: larger than {_LONGEST_TEXT_BYTES} bytes")
        return content

    def read_text(self, name: str) -> str | None:
        """Read a file as UTF-8; `None` if there is none.

        Raises:
            InvalidModel: It can't be read, or is no UTF-8.

        """
        content = self.read(name)
        try:
            return None if content is None else content.decode()
        except ValueError as error:
            raise InvalidModel(f"{name}: {error}") from error

    def read_json(self, name: str) -> Any:
        """Read JSON; `None` if there is no such file.

        Raises:
            InvalidModel: It can't be read, or is no JSON.

        """
        content = self.read(name)
        try:
            return None if content is None else json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InvalidModel(f"{name}: {error}") from error

    def read_object(self, name: str) -> dict[str, Any]:
        """Read a JSON object; a file that isn't there is an empty one.

        Raises:
            InvalidModel: The file holds something else.

        """
        content = self.read_json(name)
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise InvalidModel(f"{name}: not an object")
        return content


def open_file(path: Path) -> BinaryIO:
    """Open a regular file to be read.

    Raises:
        OSError: It is none, or can't be opened.

    """
    # What was a file when it was listed may be a pipe by now, which would block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")
