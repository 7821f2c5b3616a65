"""Folders in which models are made, so that a finished model appears whole or not at all.

A staging folder is `.partial-NAME-…` in the models' folder. Whoever works in it, child processes
too, holds a lock on a file inside, so a later pull can tell a left-over from work in progress.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference_service.models.sources.disk import require_space, sync_folder
from inference_service.models.sources.errors import InvalidName, ModelExists

PREFIX = ".partial-"
_FOLDER_LOCK = ".pull.lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Staging:
    """A folder that a model is made in.

    Attributes:
        folder: The model's files, and nothing else.
        scratch: Other files, on the same disk.
        lock: The descriptor whose lock says that work goes on; children inherit it.

    """

    folder: Path
    scratch: Path
    lock: int

    def require_space(self, needed_bytes: int, what: str) -> None:
        """Check that there is room to go on.

        Raises:
            NotEnoughSpace: There is not.

        """
        models_dir = self.folder.parent.parent
        require_space(models_dir, needed_bytes, what)


def check_name(name: str) -> None:
    """Check that a model's name can be a folder's.

    Raises:
        InvalidName: It can't.

    """
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name!r} can't be a model's name: letters, digits and . _ - only, a letter or digit "
            "first, at most 128"
        )


@contextmanager
def staged(models_dir: Path, name: str) -> Iterator[Staging]:
    """Make a model in a temporary folder, and put it in its place when the block ends well.

    Raises:
        InvalidName: The name can't be used.
        ModelExists: A model of that name is there, before or after the work.

    """
    check_name(name)
    target = models_dir / name
    _require_absent(target)
    models_dir.mkdir(parents=True, exist_ok=True)
    root, lock = _open_root(models_dir, name)
    try:
        staging = Staging(root / "model", root / "scratch", lock)
        staging.folder.mkdir()
        staging.scratch.mkdir()
        yield staging
        sync_folder(staging.folder)
        _publish(staging.folder, target)
    finally:
        shutil.rmtree(root)
        os.close(lock)


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


def _open_root(models_dir: Path, name: str) -> tuple[Path, int]:
    with _locked(models_dir / _FOLDER_LOCK):
        for leftover in models_dir.glob(f"{PREFIX}*"):
            _remove_unless_in_use(leftover)
        root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=models_dir))
        lock = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return root, lock


def _remove_unless_in_use(leftover: Path) -> None:
    lock = os.open(leftover / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(leftover)
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
