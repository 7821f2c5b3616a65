"""IR of files that lie among the models as GGUF or ONNX: made once, kept until the file changes.

A converted file is a folder `STEM-PLACE-STATE`: PLACE is made of the file's path, STATE of its size
and time, and for ONNX of those of the tokenizer, the configuration and the weights beside it. A
lock beside the folders lets one process of all convert while the others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inference_service.models.sources.companions import has_tokenizer, take_from_folder
from inference_service.models.sources.converter import CONVERTER, convert
from inference_service.models.sources.errors import ModelRefused, SourceNotFound
from inference_service.models.sources.folder import COMPANION_FILES, WEIGHTS, is_whole
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.pull import full_disk_told
from inference_service.models.sources.selection import data_of
from inference_service.models.sources.staging import staged

_STEM = re.compile(r"[^A-Za-z0-9._-]+|^[^A-Za-z0-9]+")
_LONGEST_STEM = 64
_HEX = 12


def place_of(weights: Path) -> str:
    """Give the name of the folder for a file, and what it is converted with, as they are now.

    Raises:
        SourceNotFound: There is no such file.

    """
    try:
        states = [_state(weights)]
        if weights.suffix == ".onnx":
            beside = (weights.parent / name for name in (*COMPANION_FILES, *_data_of(weights)))
            states += [f"{file.name} {_state(file)}" for file in beside if file.is_file()]
    except FileNotFoundError as error:
        raise SourceNotFound(f"no file {weights.name}") from error
    return f"{_place(weights)}-{_short('; '.join(states))}"


def cached(cache_root: Path, weights: Path) -> Path | None:
    """Give the folder with the IR of a file as it is now; None if it is still to be made.

    Raises:
        SourceNotFound: There is no such file.

    """
    folder = cache_root / place_of(weights)
    return folder if is_whole(folder) else None


def fill(
    cache_root: Path, weights: Path, report: Report, converter: Sequence[str] = CONVERTER
) -> Path:
    """Convert a file, unless another process does or has; delete what older states of it gave.

    Args:
        cache_root: The folder of converted files; made if it is not there.
        weights: A GGUF file, or an ONNX file with its tokenizer beside it.
        report: Takes the progress.
        converter: The command; see `convert`.

    Returns:
        The folder with the IR.

    Raises:
        PullError: It can't be converted.

    """
    if weights.suffix not in WEIGHTS:
        raise ModelRefused(f"{weights.name} is neither a .gguf nor an .onnx file")
    cache_root.mkdir(parents=True, exist_ok=True)
    place = _place(weights)
    with _locked(cache_root / f".{place}.lock", report):
        if folder := cached(cache_root, weights):
            return folder
        for older in cache_root.glob(f"{place}-*"):
            shutil.rmtree(older)
        name = place_of(weights)
        with staged(cache_root, name) as staging, full_disk_told():
            if weights.suffix == ".onnx" and has_tokenizer(weights.parent):
                take_from_folder(weights.parent, staging, report)
            link = staging.folder / weights.name
            links = [link, *(staging.folder / data for data in _data_of(weights))]
            for file in links:
                file.symlink_to(weights.parent.resolve() / file.name)
            convert(link, staging, report, converter)
            for file in links:
                file.unlink()
        return cache_root / name


def _data_of(weights: Path) -> list[str]:
    return data_of(weights.name, [path.name for path in weights.parent.iterdir()])


def _state(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _place(weights: Path) -> str:
    stem = _STEM.sub("-", weights.stem).strip("-._")[:_LONGEST_STEM] or "model"
    return f"{stem}-{_short(str(weights.parent.resolve() / weights.name))}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:_HEX]


@contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(Progress("waiting for another process that converts the model"))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
