"""The repository: scanning the models' folders, and deleting from them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from inference_service.errors import ModelInUse, ModelNotFound
from inference_service.models.repository import trash
from inference_service.models.repository.entry import ModelEntry, read_entry
from inference_service.models.repository.files import FileStat, InvalidModel, time_of
from inference_service.models.repository.folder import ModelFolder, Source, read_folder
from inference_service.models.repository.form import form_of
from inference_service.models.repository.layout import IR_FILE, Candidate, Listed, find_candidates
from inference_service.models.repository.listing import list_files, real_paths
from inference_service.models.repository.settings import (
    SETTINGS_STEM,
    file_layer,
    overlaid,
    settings_files,
)

_State: TypeAlias = tuple[tuple[str, FileStat], ...]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """An entry, and the state of the files that it was read from."""

    entry: ModelEntry
    state: _State


class Repository:
    """The models in some directories. All methods block, and may be called from any thread.

    A name never becomes a path: whoever has a name looks it up in the last scan.

    Args:
        models_dir: The directory that models are put in and deleted from.
        extra_dirs: More directories; nothing is written there. Where a name stands twice, the
            first directory's model counts.
        overrides: What the server's configuration says of models, by full or bare name, over the
            settings beside them; see `settings`.

    """

    def __init__(
        self,
        models_dir: Path,
        extra_dirs: Sequence[Path] = (),
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._models_dir = models_dir
        self._directories = tuple(dict.fromkeys((models_dir, *extra_dirs)))
        self._overrides = overrides or {}
        self._scanning = threading.Lock()
        self._read: dict[Path, _Read] = {}
        self._entries: dict[Path, list[ModelEntry]] = {}
        self._told: set[tuple[str, Path]] = set()
        self._removing: set[Path] = set()

    def scan(self) -> dict[str, ModelEntry]:
        """Look at the disk, and give all models by full name, those that can't be used too.

        Files that are as they were at the last scan are not read again, and the entry of such a
        model is the same object. What a delete left behind is removed. A directory that can't be
        read now keeps the models that it had.
        """
        with self._scanning:
            self._remove_leftovers()
            roots = real_paths(self._directories)
            for directory in self._directories:
                try:
                    self._entries[directory] = list(self._scan(directory, roots))
                except OSError as error:
                    self._tell("models.unreadable", directory, cause=error.strerror)
            found: dict[str, ModelEntry] = {}
            for entry in chain.from_iterable(self._entries.values()):
                first = found.setdefault(entry.name, entry)
                if first is not entry:
                    self._tell("model.hidden", entry.path, by=str(first.path))
            self._read = {e.path: r for e in found.values() if (r := self._read.get(e.path))}
            return found

    def delete(self, entry: ModelEntry, converted: Path | None = None) -> None:
        """Delete a model that is not loaded.

        It is gone whole, whenever this is interrupted; a later scan removes what is left of it.

        Args:
            entry: The model.
            converted: The folder with the IR that it was converted to, if there is one.

        Raises:
            ModelNotFound: It is gone already.
            ModelInUse: It can't be deleted.

        """
        if entry.read_only:
            raise ModelInUse(entry.name, "it is in a folder that the server doesn't write to")
        try:
            self._discard(entry.path)
        except FileNotFoundError as error:
            raise ModelNotFound(entry.name) from error
        except OSError as error:
            raise ModelInUse(entry.name, str(error.strerror)) from error
        with suppress(FileNotFoundError):
            if converted:
                self._discard(converted)
        with suppress(FileNotFoundError):
            for name in settings_files(entry.name) if entry.is_file else ():
                if (file := entry.path.parent / name).exists():
                    self._discard(file)
        family = entry.path.parent
        if family != self._models_dir and _has_settings_alone(family):
            self._discard(family)

    def _scan(self, directory: Path, roots: tuple[str, ...]) -> Iterator[ModelEntry]:
        read_only = directory != self._models_dir or not os.access(directory, os.W_OK)
        candidates, unnamed = find_candidates(directory, roots)
        for path in unnamed:
            self._tell("model.name_unusable", path)
        for candidate in candidates:
            with suppress(FileNotFoundError):  # it went away meanwhile
                # The folder that a link leads to may be of another directory, or of two names.
                is_elsewhere = candidate.family is not None and candidate.family.is_symlink()
                entry = self._look(candidate, roots, read_only=read_only or is_elsewhere)
                if entry.problem:
                    candidate.path.lstat()  # perhaps it went away while it was read
                yield entry

    def _look(self, candidate: Candidate, roots: tuple[str, ...], *, read_only: bool) -> ModelEntry:
        listed: Listed | InvalidModel
        try:
            listed = candidate.look(roots)
        except InvalidModel as error:
            return read_entry(candidate, error, self._overrides, roots, read_only=read_only)
        state = listed.state
        known = self._read.get(candidate.path)
        if known and known.state == state and known.entry.read_only == read_only:
            return known.entry
        # Whether a change from now on would show.
        settled = all(stat.settled for _, stat in state)
        entry = read_entry(candidate, listed, self._overrides, roots, read_only=read_only)
        if settled:
            self._read[candidate.path] = _Read(entry, state)
        return entry

    def _discard(self, path: Path) -> None:
        hidden = trash.hidden_in(self._models_dir)
        self._removing.add(hidden)
        try:
            path.rename(hidden)
            trash.remove(hidden)
        finally:
            self._removing.discard(hidden)

    def _remove_leftovers(self) -> None:
        try:
            for left in trash.leftovers(self._models_dir):
                if left not in self._removing:
                    trash.remove(left)
        except OSError as error:
            self._tell("models.trash_stays", self._models_dir, cause=error.strerror)

    def _tell(self, event: str, path: Path, **more: object) -> None:
        """Log what an operator should see, once."""
        if (event, path) not in self._told:
            self._told.add((event, path))
            _log.warning(event, path=ascii(str(path)), **more)


def _has_settings_alone(folder: Path) -> bool:
    """Say whether nothing is in a folder but the settings of versions that are gone."""
    allowed = settings_files(SETTINGS_STEM)
    names = (path.name for path in folder.iterdir())
    return all(name in allowed or name.startswith(".") for name in names)


def read_model(path: Path) -> ModelFolder:
    """Read a folder with IR, without looking whether all of it is there.

    Raises:
        InvalidModel: It is no model, or its configuration can't be used.

    """
    try:
        files = list_files(path)
    except FileNotFoundError as error:
        raise InvalidModel(f"no {IR_FILE}: there is no folder {path.name!r}") from error
    layer = file_layer(files)
    settings = overlaid([layer] if layer else [])
    form = form_of(files, settings)
    if form.is_converted:
        raise InvalidModel(f"no {IR_FILE}: {form.main} is to be converted first")
    main = files.folder / form.main if form.main else path
    created = time_of(main.stat().st_mtime)
    return read_folder(Source(path.name, created, settings, files), files, path)
