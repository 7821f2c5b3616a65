"""What is on disk: the model folders and what their files say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from inference_service.domain import ModelKind
from inference_service.engine.settings import ModelSettings
from inference_service.models.kind import (
    InvalidModel,
    kind_of,
    longest_input,
    pooling_of,
    read_json,
)

__all__ = [
    "IR_FILE",
    "SETTINGS_FILE",
    "InvalidModel",
    "ModelFolder",
    "SamplingDefaults",
    "model_names",
    "read_model",
]

SETTINGS_FILE = "model.toml"
IR_FILE = "openvino_model.xml"


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """A model's own defaults, from `generation_config.json`; `None` is not stated."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on disk.

    Attributes:
        name: The folder's name, which requests use.
        path: The folder.
        created: When its main file was made.
        settings: From `model.toml`, else the defaults; `pooling` is what the files say.
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


def model_names(models_dir: Path) -> list[str]:
    """List the names of the model folders, valid or not, sorted."""
    return sorted(
        path.name
        for path in models_dir.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def read_model(path: Path) -> ModelFolder:
    """Read a model folder.

    Raises:
        InvalidModel: Files are missing or can't be used.

    """
    settings = _read_settings(path)
    main = path / (SETTINGS_FILE if settings.engine == "fake" else IR_FILE)
    if not main.is_file():
        raise InvalidModel(f"no {main.name} in the folder")
    config = read_json(path / "config.json")
    kind = _kind(path, settings, config)
    if kind is ModelKind.EMBEDDING and settings.pooling is None and settings.engine != "fake":
        settings = msgspec.structs.replace(settings, pooling=pooling_of(path))
    context_length = settings.context_length
    if context_length is None:
        context_length = _context_length(path, kind, config)
    tokenizer_config = read_json(path / "tokenizer_config.json")
    return ModelFolder(
        name=path.name,
        path=path,
        created=datetime.fromtimestamp(main.stat().st_mtime, UTC),
        settings=settings,
        context_length=context_length,
        kind=kind,
        architecture=config.get("model_type"),
        chat_template=_read_chat_template(path, tokenizer_config),
        special_tokens=_special_tokens(tokenizer_config),
        sampling=_read_sampling(path),
    )


def _read_settings(path: Path) -> ModelSettings:
    file = path / SETTINGS_FILE
    if not file.is_file():
        return ModelSettings()
    try:
        return msgspec.toml.decode(file.read_bytes(), type=ModelSettings)
    except ValueError as error:  # msgspec's, or bytes that are not UTF-8
        raise InvalidModel(f"{SETTINGS_FILE}: {error}") from error


def _kind(path: Path, settings: ModelSettings, config: dict[str, Any]) -> ModelKind:
    if settings.kind is not None:
        return ModelKind(settings.kind)
    return ModelKind.GENERATION if settings.engine == "fake" else kind_of(path, config)


def _context_length(path: Path, kind: ModelKind, config: dict[str, Any]) -> int:
    if kind is ModelKind.GENERATION:
        context_length = config.get("max_position_embeddings")
    else:
        context_length = longest_input(path, config)
    if not isinstance(context_length, int) or context_length < 1:
        raise InvalidModel(
            f"config.json has no max_position_embeddings; set context_length in {SETTINGS_FILE}"
        )
    return context_length


def _read_chat_template(path: Path, tokenizer_config: dict[str, Any]) -> str | None:
    """Find the template where transformers and its exporters put it, newest place first."""
    file = path / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except ValueError as error:
            raise InvalidModel(f"{file.name}: {error}") from error
    for source in (read_json(path / "chat_template.json"), tokenizer_config):
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


def _read_sampling(path: Path) -> SamplingDefaults:
    config = read_json(path / "generation_config.json")
    if config.get("do_sample") is False:
        # The transformers default, which exporters write unasked; it says nothing of temperature.
        config = {"repetition_penalty": config.get("repetition_penalty")}
    known = {
        name: config[name]
        for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        if isinstance(config.get(name), int | float)
    }
    if "top_k" in known:
        top_k = int(known.pop("top_k"))
        if top_k > 0:  # 0 is transformers' way to say all, -1 that of others
            known["top_k"] = top_k
    return SamplingDefaults(**known)
