"""Fetches single files of a hub so that nothing is fetched twice, and nothing is taken unchecked.

Files are kept under their checksums, for their names are the hub's and may be anything, and so that
a pull of a branch that has moved takes what has not changed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inference_service.models.sources.disk import in_megabytes
from inference_service.models.sources.errors import ModelRefused, SourceUnreachable
from inference_service.models.sources.hub import HubFile, failure

if TYPE_CHECKING:
    import httpx2

PART = ".part"
RETRIES = 5
"""Attempts in a row that bring nothing, after which the hub counts as unreachable."""
RETRY_SECONDS = 0.5
"""Time before the second attempt; it doubles with each."""

_LONGEST_WAIT_SECONDS = 8.0
_HASH_BYTES = 1 << 20

OnBytes = Callable[[int], None]
"""Takes the bytes of a file that are there."""


class _Interrupted(Exception):
    """The transfer broke off, and may go on."""


class Transfer:
    """Fetches files into a folder.

    Args:
        folder: Where files are kept, each under its checksum.
        headers: Headers of requests, such as who asks. They are for the hub's own host: where that
            sends us on to another, the client library leaves the token out.
        source: The repository, for errors.

    """

    def __init__(self, folder: Path, headers: dict[str, str], source: str) -> None:
        self._folder = folder
        self._headers = headers
        self._source = source

    def present_bytes(self, file: HubFile) -> int:
        """Tell how much of a file is there."""
        for path in (self._whole(file), self._part(file)):
            if path.is_file():
                return min(path.stat().st_size, file.size)
        return 0

    def fetch(self, file: HubFile, on_bytes: OnBytes) -> Path:
        """Fetch what is missing of a file, and check it.

        Returns:
            Where it is.

        Raises:
            PullError: It couldn't be had, or is not what the hub says it is.

        """
        whole, part = self._whole(file), self._part(file)
        if whole.is_file():
            if _digest(whole, file) == file.digest:
                on_bytes(file.size)
                return whole
            whole.unlink()
        resumed = part.exists()
        self._complete(file, part, on_bytes)
        if _digest(part, file) != file.digest and resumed:
            part.unlink()  # what an earlier pull left was damaged
            self._complete(file, part, on_bytes)
        if _digest(part, file) != file.digest:
            part.unlink()
            raise ModelRefused(f"{file.path} of {self._source} is damaged: its checksum is wrong")
        _sync(part)
        part.replace(whole)
        return whole

    def keep_only(self, files: list[HubFile]) -> None:
        """Delete what an earlier pull fetched that is none of these files."""
        kept = {path for file in files for path in (self._whole(file), self._part(file))}
        for path in self._folder.iterdir():
            if path not in kept:
                path.unlink()

    def _whole(self, file: HubFile) -> Path:
        return self._folder / file.digest

    def _part(self, file: HubFile) -> Path:
        return self._folder / f"{file.digest}{PART}"

    def _complete(self, file: HubFile, part: Path, on_bytes: OnBytes) -> None:
        """Ask for the rest of a file until it is there."""
        part.touch()
        failures = 0
        while (before := part.stat().st_size) < file.size:
            try:
                self._append(file, part, on_bytes)
            except _Interrupted as error:
                failures = 0 if part.stat().st_size > before else failures + 1
                if failures >= RETRIES:
                    raise SourceUnreachable(
                        f"the hub broke off {file.path} of {self._source} ({error}); what was "
                        "fetched so far is kept for the next try"
                    ) from error
                time.sleep(min(RETRY_SECONDS * 2**failures, _LONGEST_WAIT_SECONDS))
        if before > file.size:
            part.unlink()
            raise ModelRefused(f"{file.path} of {self._source} is longer than the hub says")

    def _append(self, file: HubFile, part: Path, on_bytes: OnBytes) -> None:
        """Ask once for the rest of a file."""
        import httpx2
        from huggingface_hub import constants, get_session

        done = part.stat().st_size
        headers = self._headers | ({"Range": f"bytes={done}-"} if done else {})
        try:
            with get_session().stream(
                "GET", file.url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
            ) as response:
                self._check(response)
                # An answer of 200 is the whole file, though a part of it was asked for.
                with part.open("r+b" if response.status_code == 206 else "wb") as out:
                    done = out.seek(0, os.SEEK_END)
                    for chunk in response.iter_bytes():
                        done += out.write(chunk)
                        if done > file.size:
                            break
                        on_bytes(done)
        except httpx2.HTTPError as error:
            raise _Interrupted(type(error).__name__) from error
        if done < file.size:
            raise _Interrupted(f"after {in_megabytes(done)}")

    def _check(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            return
        error = failure(status, self._source)
        if isinstance(error, SourceUnreachable):
            raise _Interrupted(f"HTTP status {status}")
        raise error


def _digest(path: Path, file: HubFile) -> str:
    """Compute the checksum of the kind that the hub gave: SHA-256, or git's own."""
    # Git's names are no protection of ours against anyone: the hub's word for the file is.
    digest = hashlib.sha256() if file.has_sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.has_sha256:
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as reader:
        while chunk := reader.read(_HASH_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
