"""Where models stand in a directory of models, and under which names.

A model is a folder `NAME` or `NAME@VERSION`, a file `NAME.gguf` or `NAME@VERSION.gguf`, or, as
OpenVINO Model Server and Triton have them, a numbered folder in a folder `NAME`, which is version 1
or 2 of it. What is hidden is left alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_service.models.names import is_full_name
from inference_service.models.repository.files import FileStat, ModelFiles
from inference_service.models.repository.listing import (
    is_inside,
    list_files,
    list_named,
    require_inside,
)
from inference_service.models.repository.settings import (
    SETTINGS_STEM,
    Layer,
    file_layer,
    settings_files,
)

GGUF_SUFFIX = ".gguf"
ONNX_FILE = "model.onnx"
IR_FILE = "openvino_model.xml"

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Listed:
    """The files of a model, and those with the settings of all its versions."""

    files: ModelFiles
    shared: ModelFiles | None = None

    @property
    def state(self) -> tuple[tuple[str, FileStat], ...]:
        """What differs when any of the files does."""
        shared = self.shared.stats.items() if self.shared else ()
        return (*self.files.stats.items(), *shared)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that a model may be in.

    Attributes:
        name: The full name of what is there.
        path: A folder, or a file of GGUF.
        is_file: Whether it is a file.
        family: Of a numbered folder, the folder of all versions.

    """

    name: str
    path: Path
    is_file: bool = False
    family: Path | None = None

    def look(self, roots: Sequence[str]) -> Listed:
        """List what is there.

        Args:
            roots: What links may lead to, resolved.

        Raises:
            FileNotFoundError: It is gone.
            InvalidModel: It is not to be read; see `list_files`.

        """
        if self.is_file:
            names = (self.path.name, *settings_files(self.name))
            files = list_named(self.path.parent, names, roots)
            if self.path.name not in files:
                raise FileNotFoundError(self.path)
            return Listed(files)
        if self.family is None:
            return Listed(list_files(self.path, roots))
        require_inside(self.family, self.family.name, roots)
        shared = list_named(self.family, settings_files(SETTINGS_STEM), roots)
        return Listed(list_files(self.path, roots), shared)

    def layers(self, listed: Listed) -> list[Layer]:
        """Read the settings beside it: those of all versions, then its own.

        Raises:
            InvalidModel: They can't be read.

        """
        shared = file_layer(listed.shared) if listed.shared else None
        own = file_layer(listed.files, self.name if self.is_file else SETTINGS_STEM)
        return [layer for layer in (shared, own) if layer]


def find_candidates(directory: Path, roots: Sequence[str]) -> tuple[list[Candidate], list[Path]]:
    """Find the places in a directory that models may be in, by name, folders before files.

    Args:
        directory: The directory.
        roots: What links may lead to, resolved.

    Returns:
        The places, and what would be one if its name could be a model's.

    Raises:
        OSError: The directory can't be read.

    """
    folders: list[Candidate] = []
    files: list[Candidate] = []
    unnamed: list[Path] = []
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name, path = entry.name, Path(entry.path)
            is_file = name.endswith(GGUF_SUFFIX) and not entry.is_dir()
            if is_file:
                name = name.removesuffix(GGUF_SUFFIX)
            if entry.name.startswith(".") or not (is_file or _may_be_folder(entry)):
                continue
            if not is_full_name(name):
                unnamed.append(path)
            elif is_file:
                files.append(Candidate(name, path, is_file=True))
            else:
                folders += _versions(name, path, roots)
    return [*folders, *files], unnamed


def _may_be_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() or (entry.is_symlink() and not Path(entry.path).exists())


def _versions(name: str, folder: Path, roots: Sequence[str]) -> list[Candidate]:
    """Give the numbered folders in a folder, or the folder itself if it has none or is a model."""
    alone = [Candidate(name, folder)]
    if "@" in name or (folder.is_symlink() and not is_inside(folder, roots)):
        return alone
    try:
        inside = [path.name for path in folder.iterdir()]
    except OSError:
        return alone  # to list it says why
    if any(is_weights(file) or file == IR_FILE for file in inside):
        return alone
    numbers = [n for n in inside if _NUMBER.fullmatch(n) and (folder / n).is_dir()]
    return [Candidate(f"{name}@{n}", folder / n, family=folder) for n in sorted(numbers)] or alone


def is_weights(name: str) -> bool:
    """Say whether a file in a model's folder has weights that can be converted to IR."""
    return name == ONNX_FILE or ("/" not in name and name.endswith(GGUF_SUFFIX))
