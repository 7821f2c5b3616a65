"""A model in the repository: what its files say, or why they can't be used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from inference_service.domain import LoadFailure, LoadFailureCause, ModelFormat, ModelKind
from inference_service.engine.settings import ModelSettings
from inference_service.models.names import split_name
from inference_service.models.repository.consistency import require_consistent
from inference_service.models.repository.files import InvalidModel, ModelFiles, time_of
from inference_service.models.repository.folder import (
    ModelFolder,
    Source,
    own_template,
    read_folder,
    require_template,
)
from inference_service.models.repository.form import (
    form_of,
    require_convertible_onnx,
    require_whole,
)
from inference_service.models.repository.gguf_header import require_gguf
from inference_service.models.repository.layout import Candidate, Listed
from inference_service.models.repository.listing import list_files
from inference_service.models.repository.settings import overlaid, override_layer

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model in the repository. Two are equal if the files and the settings are the same.

    Attributes:
        name: The full name, `NAME` or `NAME@VERSION`.
        base: The name without the version.
        version: The version; `None` is none.
        path: Its folder, or its file of GGUF.
        is_file: Whether it is a file, with no folder of its own.
        read_only: Whether the server doesn't write where it is.
        format: What its files are; `None` if they can't be told.
        weights: The file that is to be converted before it is loaded; `None` if none is.
        created: When its main file was made.
        size_bytes: Bytes of its files.
        precision: What most of its weights are stored in; `None` if the files don't say.
        kind: What it does; `None` if it can't be told.
        architecture: As its files name it; `None` if they don't.
        context_length: Tokens; see `ModelFolder`.
        settings: Its own, if they could be read.
        problem: Why it can't be loaded; `None` if nothing is known to be wrong.
        fingerprint: Changes when its files do.
        roots: What links in it may lead to, resolved.

    """

    name: str
    base: str
    version: str | None
    path: Path
    read_only: bool
    created: datetime
    is_file: bool = False
    size_bytes: int = 0
    format: ModelFormat | None = None
    weights: Path | None = None
    precision: str | None = None
    kind: ModelKind | None = None
    architecture: str | None = None
    context_length: int | None = None
    settings: ModelSettings | None = None
    problem: LoadFailure | None = None
    fingerprint: str = ""
    roots: tuple[str, ...] = field(default=(), repr=False)

    @property
    def reproducible(self) -> bool:
        """Whether the same request gives the same tokens whatever else runs."""
        return bool(self.settings and self.settings.reproducible)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of its LoRA adapters, sorted."""
        return tuple(sorted(self.settings.adapters)) if self.settings else ()


def read_entry(
    candidate: Candidate,
    listed: Listed | InvalidModel,
    overrides: Mapping[str, Mapping[str, Any]],
    roots: Sequence[str],
    *,
    read_only: bool,
) -> ModelEntry:
    """Read a model, or tell why it can't be used.

    Args:
        candidate: Where it is.
        listed: Its files, or why they can't be listed.
        overrides: What the server's configuration says of models, by name.
        roots: What links in it may lead to, resolved.
        read_only: Whether the server doesn't write there.

    Raises:
        FileNotFoundError: It is gone.

    """
    base, version = split_name(candidate.name)
    created = time_of(candidate.path.lstat().st_mtime)
    entry = ModelEntry(
        candidate.name,
        base,
        version,
        candidate.path,
        read_only,
        created,
        candidate.is_file,
        roots=tuple(roots),
    )
    if isinstance(listed, InvalidModel):
        return replace(entry, problem=LoadFailure(listed.cause, str(listed)))
    try:
        files = listed.files
        entry = replace(entry, size_bytes=files.size_bytes, fingerprint=_fingerprint(files))
        override = override_layer(overrides, candidate.name, base)
        settings = overlaid([*candidate.layers(listed), *([override] if override else [])])
        entry = replace(entry, settings=settings)
        entry = _with_form(entry, files, settings)
        entry = _with_facts(entry, files, settings)
        entry = _with_weights(entry, files)
        require_consistent(settings, files, entry.kind, candidate.name, base)
    except InvalidModel as error:
        return replace(entry, problem=LoadFailure(error.cause, str(error)))
    except Exception as error:  # noqa: BLE001 - it is logged, and told of the model
        # Nothing that files say is to keep the other models from being seen.
        _log.exception("model.unreadable", model=candidate.name)
        problem = f"the server failed to read it ({type(error).__name__}); its log says more"
        return replace(entry, problem=LoadFailure(LoadFailureCause.INVALID_FILES, problem))
    return entry


def folder_of(entry: ModelEntry, ir: Path | None = None) -> ModelFolder:
    """Read a model as it is to be loaded, from its files as they are now.

    Args:
        entry: The model.
        ir: The folder with the IR of `entry.weights`, if that is set.

    Raises:
        InvalidModel: It can't be loaded.

    """
    if entry.problem:
        raise InvalidModel(entry.problem.message, entry.problem.cause)
    assert entry.settings is not None, "what has no settings has a problem"
    assert (entry.weights is None) == (ir is None), "weights are converted before they are loaded"
    try:
        candidate = Candidate(entry.name, entry.path, is_file=entry.is_file)
        files = candidate.look(entry.roots).files
        graph = files if ir is None else list_files(ir)
    except FileNotFoundError as error:
        raise InvalidModel("its files are gone") from error
    # Of GGUF, the configuration is made when it is converted.
    configuration = graph if entry.format is ModelFormat.GGUF else files
    source = Source(entry.name, entry.created, entry.settings, files)
    folder = read_folder(source, configuration, graph.folder)
    if entry.format is not ModelFormat.FAKE:
        require_whole(graph, folder.kind)
    return folder


def _with_form(entry: ModelEntry, files: ModelFiles, settings: ModelSettings) -> ModelEntry:
    form = form_of(files, settings)
    if form.main is None:
        return replace(entry, format=form.format)
    return replace(
        entry,
        format=form.format,
        weights=files.folder / form.main if form.is_converted else None,
        created=files.stats[form.main].modified,
    )


def _with_facts(entry: ModelEntry, files: ModelFiles, settings: ModelSettings) -> ModelEntry:
    source = Source(entry.name, entry.created, settings, files)
    if entry.format is ModelFormat.GGUF and entry.weights:
        return _with_header(entry, source, entry.weights.name)
    folder = read_folder(source, files, files.folder)
    return replace(
        entry,
        kind=folder.kind,
        architecture=folder.architecture,
        context_length=folder.context_length,
    )


def _with_weights(entry: ModelEntry, files: ModelFiles) -> ModelEntry:
    if entry.format is ModelFormat.ONNX:
        require_convertible_onnx(files)
    elif entry.format is ModelFormat.OPENVINO_IR:
        return replace(entry, precision=require_whole(files, entry.kind).precision)
    return entry


def _with_header(entry: ModelEntry, source: Source, file: str) -> ModelEntry:
    header = require_gguf(source.files, file)
    context_length = source.settings.context_length or header.context_length
    if context_length is None:
        raise InvalidModel(f"{file} does not say how long its context is; set context_length")
    require_template(own_template(source) or header.chat_template)
    return replace(
        entry,
        kind=ModelKind(source.settings.kind or "generation"),
        architecture=header.architecture,
        context_length=context_length,
        precision=header.precision,
    )


def _fingerprint(files: ModelFiles) -> str:
    listed = "\n".join(f"{n!r} {s.size} {s.mtime_ns}" for n, s in sorted(files.stats.items()))
    return hashlib.sha256(listed.encode()).hexdigest()[:32]
