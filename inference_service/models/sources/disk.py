"""Room on the disk, and files that are safely on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from inference_service.models.sources.errors import NotEnoughSpace
from inference_service.models.sources.progress import Progress, Report

SPARE_BYTES = 64 << 20
"""What must stay free beside what is about to be written."""

_CHUNK_BYTES = 4 << 20


def in_megabytes(size: int) -> str:
    """Write a number of bytes for a reader."""
    return f"{size / 1e6:,.0f} MB"


def require_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Check that the disk of a folder has room.

    Raises:
        NotEnoughSpace: It has not.

    """
    needed = needed_bytes + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NotEnoughSpace(
            f"not enough disk space in {folder} to {what}: {in_megabytes(needed)} needed, "
            f"{in_megabytes(free)} free",
            needed,
            free,
        )


def copy_stream(
    reader: IO[bytes], target: Path, report: Report, stage: str, total_bytes: int
) -> None:
    """Write a stream into a new file, with progress."""
    done = 0
    with target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            done += len(chunk)
            report(Progress(stage, done, total_bytes))


def folder_bytes(folder: Path) -> int:
    """Add up the files under a folder, while others may write and delete there."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue


def sync_folder(folder: Path) -> None:
    """Bring a folder's files to the disk, so that a rename after it never shows half of them."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
