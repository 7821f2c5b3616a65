"""A model as it is loaded, and what its files say of how it is talked to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import jinja2
import msgspec

from inference_service.chat.syntax import check_template
from inference_service.domain import LoadFailureCause, ModelKind
from inference_service.engine.settings import ModelSettings
from inference_service.models.repository.files import InvalidModel, ModelFiles
from inference_service.models.repository.kind import kind_of, longest_input, pooling_of
from inference_service.models.repository.sampling import SamplingDefaults, read_sampling
from inference_service.models.repository.settings import SETTINGS_FILE

LONGEST_CONTEXT = (1 << 31) - 1
"""More tokens than this are a mistake."""
_LONGEST_WORD = 100


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model as it is loaded.

    Attributes:
        name: Its full name.
        path: The folder with its IR.
        created: When its main file was made.
        settings: Its own; `pooling` is what the files say, and adapters have absolute paths.
        context_length: Tokens of prompt and completion together; of a model that does not
            generate, tokens of one input.
        kind: What it does.
        architecture: The `model_type` of `config.json`.
        chat_template: Jinja source; `None` if there is none.
        special_tokens: Texts that the template may name, such as `bos_token`.
        sampling: The model's own sampling defaults.

    """

    name: str
    path: Path
    created: datetime
    settings: ModelSettings
    context_length: int
    kind: ModelKind = ModelKind.GENERATION
    architecture: str | None = None
    chat_template: str | None = None
    special_tokens: dict[str, str] = field(default_factory=dict)
    sampling: SamplingDefaults = field(default_factory=SamplingDefaults)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model is read from.

    Attributes:
        name: Its full name.
        created: When its main file was made.
        settings: Its own.
        files: Its files; the settings name some of them.

    """

    name: str
    created: datetime
    settings: ModelSettings
    files: ModelFiles


def read_folder(source: Source, configuration: ModelFiles, path: Path) -> ModelFolder:
    """Read what a model's configuration says.

    Args:
        source: The model.
        configuration: Where the files with the configuration are.
        path: The folder with its IR.

    Raises:
        InvalidModel: A file can't be read, or doesn't say what it must.

    """
    settings = source.settings
    config = configuration.read_object("config.json")
    kind = _kind(configuration, settings, config)
    if kind is ModelKind.EMBEDDING and settings.pooling is None and settings.engine != "fake":
        settings = msgspec.structs.replace(settings, pooling=pooling_of(configuration))
    tokenizer_config = configuration.read_object("tokenizer_config.json")
    special_tokens = _special_tokens(tokenizer_config)
    template = own_template(source)
    if template is None:
        template = _template(configuration, tokenizer_config)
    require_template(template)
    architecture = config.get("model_type")
    return ModelFolder(
        name=source.name,
        path=path,
        created=source.created,
        settings=_with_places(settings, source.files.folder),
        context_length=_context_length(configuration, settings, kind, config),
        kind=kind,
        architecture=architecture if _is_word(architecture) else None,
        chat_template=template,
        special_tokens=special_tokens,
        sampling=read_sampling(configuration, settings.sampling),
    )


def own_template(source: Source) -> str | None:
    """Read the chat template that the settings name; `None` if they name none.

    Raises:
        InvalidModel: It isn't there, or is no text.

    """
    name = source.settings.chat_template
    file = None if name is None else source.files.find(name)
    if name is not None and file is None:
        raise InvalidModel(
            f"chat_template: there is no {name!r} in the model's folder",
            LoadFailureCause.INVALID_SETTINGS,
        )
    return None if file is None else source.files.read_text(file)


def require_template(source: str | None) -> None:
    """Check that a chat template, if there is one, is one.

    Raises:
        InvalidModel: It is no Jinja.

    """
    if source is None:
        return
    if not source.isascii() and source != source.encode(errors="replace").decode():
        raise InvalidModel("the chat template is no Unicode")
    try:
        check_template(source)
    except jinja2.TemplateSyntaxError as error:
        raise InvalidModel(
            f"the chat template is no Jinja: {error.message} (line {error.lineno})"
        ) from error


def _kind(files: ModelFiles, settings: ModelSettings, config: dict[str, Any]) -> ModelKind:
    if settings.kind is not None:
        return ModelKind(settings.kind)
    return ModelKind.GENERATION if settings.engine == "fake" else kind_of(files, config)


def _context_length(
    files: ModelFiles, settings: ModelSettings, kind: ModelKind, config: dict[str, Any]
) -> int:
    if settings.context_length is not None:
        return settings.context_length
    if kind is ModelKind.GENERATION:
        context_length = config.get("max_position_embeddings")
    else:
        context_length = longest_input(files, config)
    is_count = isinstance(context_length, int) and not isinstance(context_length, bool)
    length = cast("int", context_length) if is_count else 0
    if not 0 < length <= LONGEST_CONTEXT:
        raise InvalidModel(
            f"config.json has no max_position_embeddings; set context_length in {SETTINGS_FILE}"
        )
    return length


def _template(files: ModelFiles, tokenizer_config: dict[str, Any]) -> str | None:
    """Find the template where transformers and its exporters put it, newest place first."""
    if (text := files.read_text("chat_template.jinja")) is not None:
        return text
    for source in (files.read_object("chat_template.json"), tokenizer_config):
        template = source.get("chat_template")
        if isinstance(template, list):  # named templates
            named = (entry for entry in template if isinstance(entry, dict))
            template = next((t.get("template") for t in named if t.get("name") == "default"), None)
        if isinstance(template, str):
            return template
    return None


def _special_tokens(tokenizer_config: dict[str, Any]) -> dict[str, str]:
    tokens: dict[str, str] = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = tokenizer_config.get(name)
        if isinstance(value, dict):  # an AddedToken
            value = value.get("content")
        if isinstance(value, str):
            tokens[name] = value
    return tokens


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_WORD


def _with_places(settings: ModelSettings, folder: Path) -> ModelSettings:
    """Give adapters' files absolute paths: the IR that is loaded may be in another folder."""
    placed = {
        name: msgspec.structs.replace(adapter, file=str(folder.absolute() / adapter.file))
        for name, adapter in settings.adapters.items()
    }
    return msgspec.structs.replace(settings, adapters=placed)
