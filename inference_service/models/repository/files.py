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
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from inference_service.domain import LoadFailureCause

_LONGEST_TEXT_BYTES = 8 << 20  # JSON of that size holds up all threads for a third of a second
_LONGEST_MESSAGE = 1000
_LARGEST_SIZE = (1 << 63) - 1
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799  # of the years 1 to 9999
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
        message = message.encode(errors="replace").decode()
        # What files say may be of any length, and the messages of all models travel together.
        long = len(message) > _LONGEST_MESSAGE
        super().__init__(f"{message[: _LONGEST_MESSAGE - 1]}…" if long else message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class FileStat:
    """What tells that a file has changed; `size` is in bytes, the times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def modified(self) -> datetime:
        """When it was changed; the nearest time that a calendar has."""
        return time_of(self.mtime_ns / 1e9)

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
        """Bytes of all files, as far as 63 bits count them: files with holes may be of any size."""
        return min(sum(file.size for file in self.stats.values()), _LARGEST_SIZE)

    def find(self, name: str) -> str | None:
        """Find a file that the model itself names, such as `lora/a.safetensors`.

        Returns:
            The path in `stats`; `None` if the folder has no such file, or the name leads out of it.

        """
        path = PurePosixPath(name).as_posix()  # without a leading `./`
        return path if path in self.stats else None

    def read(self, name: str, longest_bytes: int | None = None) -> bytes | None:
        """Read a file whole; `None` if there is none.

        Args:
            name: The file's path.
            longest_bytes: What is too large; unset: what is too large for any text.

        Raises:
            InvalidModel: It can't be read, or is too large for what it should be.

        """
        if name not in self.stats:
            return None
        longest_bytes = longest_bytes or _LONGEST_TEXT_BYTES
        try:
            with open_file(self.folder / name) as file:
                content = file.read(longest_bytes + 1)
        except OSError as error:
            raise InvalidModel(f"{name}: {error.strerror}") from error
        if len(content) > longest_bytes:
            raise InvalidModel(f"{name}: larger than {longest_bytes} bytes")
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


def time_of(seconds: float) -> datetime:
    """Give the time of a file; disks know times that no calendar has."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST_SECOND), _LAST_SECOND), UTC)


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
