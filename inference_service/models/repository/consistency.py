"""Settings of a model that contradict each other, or name what isn't there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from inference_service.domain import LoadFailureCause, ModelKind
from inference_service.engine.failure import LoadError
from inference_service.engine.placement import placements
from inference_service.engine.settings import ModelSettings
from inference_service.models.names import is_adapter
from inference_service.models.repository.files import InvalidModel, ModelFiles
from inference_service.models.repository.folder import LONGEST_CONTEXT

_GENERATION_ONLY = ("adapters", "cache_eviction", "speculation")


def require_consistent(
    settings: ModelSettings,
    files: ModelFiles,
    kind: ModelKind | None,
    full_name: str,
    name: str,
) -> None:
    """Check what no single setting can tell.

    Args:
        settings: The settings.
        files: The model's; what the settings name must be there.
        kind: What the model does, if that is known.
        full_name: Its full name.
        name: The same without the version.

    Raises:
        InvalidModel: They can't be used together; the message has all problems.

    """
    problems = [
        *_of_kind(settings, kind),
        *_of_length(settings),
        *settings.contradictions(),
        *_of_speculation(settings, {full_name, name}),
        *_of_adapters(settings, files),
        *_of_template(settings, files),
        *_of_placement(settings),
    ]
    if problems:
        raise InvalidModel("; ".join(problems), LoadFailureCause.INVALID_SETTINGS)


def _of_kind(settings: ModelSettings, kind: ModelKind | None) -> Iterator[str]:
    if kind and kind is not ModelKind.GENERATION:
        for key in _GENERATION_ONLY:
            if getattr(settings, key):
                yield f"{key} is for models that generate text; this is one for {kind.value}"


def _of_length(settings: ModelSettings) -> Iterator[str]:
    if settings.context_length and settings.context_length > LONGEST_CONTEXT:
        yield f"context_length can't be more than {LONGEST_CONTEXT}"


def _of_speculation(settings: ModelSettings, names: set[str]) -> Iterator[str]:
    if settings.speculation and settings.speculation.draft_model in names:
        yield "speculation.draft_model names the model itself"


def _of_adapters(settings: ModelSettings, files: ModelFiles) -> Iterator[str]:
    for name, adapter in settings.adapters.items():
        if not is_adapter(name):
            yield (
                f"adapters: {name!r} can't be a name: letters, digits and . _ - only, a letter or "
                "digit first, at most 64"
            )
        if PurePosixPath(adapter.file).suffix != ".safetensors":
            yield f"adapters.{name}.file: {adapter.file!r} is no safetensors file"
        elif files.find(adapter.file) is None:
            yield f"adapters.{name}.file: there is no {adapter.file!r} in the model's folder"


def _of_template(settings: ModelSettings, files: ModelFiles) -> Iterator[str]:
    file = settings.chat_template
    if file is not None and files.find(file) is None:
        yield f"chat_template: there is no {file!r} in the model's folder"


def _of_placement(settings: ModelSettings) -> Iterator[str]:
    if settings.cpus or settings.numa_nodes:
        try:
            placements(settings)
        except LoadError as error:
            yield str(error)
