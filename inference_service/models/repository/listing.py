"""Finds the files of a model without leaving the models' folders.

Links may lead to any place inside them and to none outside. Hidden files are left out; whatever is
neither file nor folder makes a model invalid, and is never opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from inference_service.models.repository.files import FileStat, InvalidModel, ModelFiles

_MOST_FILES = 10_000


def real_paths(folders: Iterable[Path]) -> tuple[str, ...]:
    """Resolve the folders that models may be in."""
    return tuple(os.path.realpath(folder) for folder in folders)


def list_files(folder: Path, roots: Sequence[str] | None = None) -> ModelFiles:
    """List a model's folder, with the folders in it.

    Args:
        folder: The model's.
        roots: What links may lead to, resolved; unset: the folder it is in.

    Raises:
        FileNotFoundError: There is no such folder.
        InvalidModel: Something in it leads out of the roots, is neither file nor folder, or can't
            be read; or there is too much.

    """
    roots = real_paths([folder.parent]) if roots is None else roots
    if folder.is_symlink():
        require_inside(folder, folder.name, roots)
        if not folder.exists():
            raise InvalidModel(f"{folder.name!r} links to what is not there")
    stats: dict[str, FileStat] = {}
    seen = {_identity(folder.stat())}  # links may lead to where they are
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            for name, status in _look(folder / prefix, prefix, roots):
                if stat.S_ISREG(status.st_mode):
                    stats[name] = _stat(status)
                elif _identity(status) not in seen:
                    seen.add(_identity(status))
                    waiting.append(f"{name}/")
                if len(stats) + len(seen) > _MOST_FILES:
                    raise InvalidModel(f"it has more than {_MOST_FILES} files")
        except OSError as error:
            if not prefix and isinstance(error, FileNotFoundError):
                raise
            raise InvalidModel(f"{prefix or 'the folder'!r}: {error.strerror}") from error
    return ModelFiles(folder, dict(sorted(stats.items())))


def list_named(folder: Path, names: Iterable[str], roots: Sequence[str]) -> ModelFiles:
    """List those of some files that are there.

    Args:
        folder: Where they are.
        names: Their names.
        roots: What links may lead to, resolved.

    Raises:
        InvalidModel: One leads out of the roots, or is no file.

    """
    stats: dict[str, FileStat] = {}
    for name in names:
        file = folder / name
        try:
            if file.is_symlink():
                require_inside(file, name, roots)
            status = file.stat()
        except FileNotFoundError as error:
            if file.is_symlink():
                raise InvalidModel(f"{name!r} links to what is not there") from error
            continue
        except OSError as error:
            raise InvalidModel(f"{name!r}: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise InvalidModel(f"{name!r} is no file")
        stats[name] = _stat(status)
    return ModelFiles(folder, stats)


def is_inside(path: Path, roots: Sequence[str]) -> bool:
    """Say whether a path leads to a place inside one of the folders, which are resolved."""
    real = os.path.realpath(path)
    return any(real.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def require_inside(path: Path, name: str, roots: Sequence[str]) -> None:
    """Check that a path leads to a place inside one of the folders, which are resolved.

    Raises:
        InvalidModel: It doesn't.

    """
    if not is_inside(path, roots):
        raise InvalidModel(f"{name!r} links to a place outside the models' folders")


def _look(folder: Path, prefix: str, roots: Sequence[str]) -> Iterable[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith("."):
                continue
            name = prefix + entry.name
            if entry.is_symlink():
                require_inside(Path(entry.path), name, roots)
            try:
                status = entry.stat()
            except FileNotFoundError:
                if entry.is_symlink():
                    raise InvalidModel(f"{name!r} links to what is not there") from None
                continue  # deleted just now
            except OSError as error:
                raise InvalidModel(f"{name!r}: {error.strerror}") from error
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise InvalidModel(f"{name!r} is neither a file nor a folder")
            yield name, status


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _stat(status: os.stat_result) -> FileStat:
    return FileStat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
