"""Folders in which models are made, so that a finished model appears whole or not at all.

A staging folder is `.partial-NAME-…` in the models' folder. Whoever works in it, child processes
too, holds a lock on a file inside, so a later pull can tell a left-over from work in progress. What
ends the name of a pull that can be resumed is made of what it fetches, so that the same pull finds
it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inference_service.models.names import split_name
from inference_service.models.sources.disk import require_space, sync_folder
from inference_service.models.sources.errors import (
    InvalidName,
    ModelExists,
    NotEnoughSpace,
    SourceUnreachable,
)

PREFIX = ".partial-"
LEFTOVER_SECONDS = 7 * 24 * 3600
"""How long what an interrupted pull has fetched is kept for the next one."""

_FOLDER_LOCK = ".pull.lock"
_KEY = re.compile(r"k[0-9a-f]{16}")
_RESUMABLE = (SourceUnreachable, NotEnoughSpace, KeyboardInterrupt, SystemExit)
"""What may end a pull that is worth going on with later."""

_DEATH_SECONDS = 2.0
_DEATH_TICK_SECONDS = 0.01


@dataclass(frozen=True)
class Staging:
    """A folder that a model is made in.

    Attributes:
        folder: The model's files, and nothing else.
        scratch: Other files, on the same disk.
        lock: The descriptor whose lock says that work goes on; children inherit it.
        downloads: What was fetched, also by an earlier pull of the same; on the same disk.

    """

    folder: Path
    scratch: Path
    lock: int
    downloads: Path

    def require_space(self, needed_bytes: int, what: str) -> None:
        """Check that there is room to go on.

        Raises:
            NotEnoughSpace: There is not.

        """
        models_dir = self.folder.parent.parent
        require_space(models_dir, needed_bytes, what)


def check_name(name: str) -> None:
    """Check that a model's name, `NAME` or `NAME@VERSION`, can be a folder's.

    Raises:
        InvalidName: It can't.

    """
    try:
        split_name(name)
    except ValueError as error:
        raise InvalidName(str(error)) from error


def key_of(*parts: str) -> str:
    """Make the key of a pull that can be resumed, of all that says what it fetches."""
    return "k" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def staged(models_dir: Path, name: str, key: str | None = None) -> Iterator[Staging]:
    """Make a model in a temporary folder, and put it in its place when the block ends well.

    Args:
        models_dir: Where models are; made if it is not there.
        name: The model's.
        key: Of a pull that can be resumed, what `key_of` gives: its downloads are kept if it is
            interrupted, and are there again for the next with the same name and key.

    Raises:
        InvalidName: The name can't be used.
        ModelExists: A model of that name is there, before or after the work, or is being fetched.

    """
    check_name(name)
    target = models_dir / name
    _require_absent(target)
    models_dir.mkdir(parents=True, exist_ok=True)
    root, lock = _open_root(models_dir, name, key)
    keep = False
    try:
        staging = Staging(root / "model", root / "scratch", lock, root / "downloads")
        _empty(staging)
        yield staging
        sync_folder(staging.folder)
        _publish(staging.folder, target)
    except _RESUMABLE:
        downloads = staging.downloads
        keep = key is not None and downloads.is_dir() and any(downloads.iterdir())
        raise
    finally:
        with _locked(models_dir / _FOLDER_LOCK):
            if keep:
                _empty(staging)
            else:
                shutil.rmtree(root)
        os.close(lock)


def _empty(staging: Staging) -> None:
    """Leave nothing of an earlier pull but what it fetched."""
    for folder in (staging.folder, staging.scratch):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.mkdir()
    staging.downloads.mkdir(exist_ok=True)


def _require_absent(target: Path) -> None:
    if target.exists():
        raise ModelExists(f"a model named {target.name!r} is in {target.parent} already")


def _publish(folder: Path, target: Path) -> None:
    with _locked(target.parent / _FOLDER_LOCK):
        _require_absent(target)
        folder.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_root(models_dir: Path, name: str, key: str | None) -> tuple[Path, int]:
    deadline = time.monotonic() + _DEATH_SECONDS
    while True:
        with _locked(models_dir / _FOLDER_LOCK):
            if _swept(models_dir, name, key):
                return _lock_root(models_dir, name, key)
        # Children of a pull that was killed die just after it, and have its lock until then.
        if time.monotonic() > deadline:
            raise ModelExists(f"a model named {name!r} is being pulled now")
        time.sleep(_DEATH_TICK_SECONDS)


def _lock_root(models_dir: Path, name: str, key: str | None) -> tuple[Path, int]:
    if key is None:
        root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=models_dir))
    else:
        root = models_dir / f"{PREFIX}{name}-{key}"
        root.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.utime(lock)  # it tells the folder's age
    return root, lock


def _swept(models_dir: Path, name: str, key: str | None) -> bool:
    """Remove left-overs that no pull will go on with; say whether nobody fetches this model."""
    free = True
    for leftover in models_dir.glob(f"{PREFIX}*"):
        if leftover.is_symlink() or not leftover.is_dir():
            continue  # not ours
        of_name, _, of_key = leftover.name.removeprefix(PREFIX).rpartition("-")
        if of_name == name:
            keep = of_key == key
        else:
            keep = bool(_KEY.fullmatch(of_key)) and not _is_old(leftover)
        in_use = not _removed_unless_in_use(leftover, keep)
        free = free and not (in_use and of_name == name)
    return free


def _is_old(leftover: Path) -> bool:
    try:
        last_use = (leftover / "lock").stat().st_mtime
    except FileNotFoundError:
        return True
    return time.time() - last_use > LEFTOVER_SECONDS


def _removed_unless_in_use(leftover: Path, keep: bool) -> bool:
    lock = os.open(leftover / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        if not keep:
            shutil.rmtree(leftover)
        return True
    finally:
        os.close(lock)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
