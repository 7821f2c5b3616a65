"""What a models folder holds after a pull."""

from __future__ import annotations

from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def partial(folder: Path) -> list[Path]:
    return list(folder.glob(".partial-*"))
