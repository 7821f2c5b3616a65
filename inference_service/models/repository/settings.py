"""The settings of one model: from files beside it, and over them the server's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import yaml  # type: ignore[import-untyped]

from inference_service.domain import LoadFailureCause
from inference_service.engine.settings import ModelSettings
from inference_service.models.repository.files import InvalidModel, ModelFiles

SETTINGS_STEM = "model"
SETTINGS_FILE = f"{SETTINGS_STEM}.toml"

_SUFFIXES = (".toml", ".yaml")
_VERSIONS = "versions"
_LONGEST_BYTES = 64 << 10
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings from one place.

    Attributes:
        place: Where they are, for messages.
        values: As written.

    """

    place: str
    values: Mapping[str, Any]


def settings_files(stem: str) -> tuple[str, ...]:
    """Name the files that may hold the settings; there may be one of them."""
    return tuple(stem + suffix for suffix in _SUFFIXES)


def file_layer(files: ModelFiles, stem: str = SETTINGS_STEM) -> Layer | None:
    """Read the settings beside a model; `None` if there are none.

    Args:
        files: Where they are.
        stem: The file's name without its suffix.

    Raises:
        InvalidModel: There are two files, or one that can't be read.

    """
    found = [name for name in settings_files(stem) if name in files]
    if len(found) > 1:
        _refuse(f"there are {' and '.join(found)}; one of them must go")
    for name in found:
        content = files.read(name, _LONGEST_BYTES) or b""
        try:
            if name.endswith(".toml"):
                values = msgspec.toml.decode(content)
            else:
                _require_plain(content)
                values = msgspec.yaml.decode(content)
        except yaml.YAMLError as error:
            _refuse(f"{name}: {error}")
        except (ValueError, RecursionError) as error:  # msgspec's, or bytes that are not UTF-8
            _refuse(f"{name}: {error}")
        if values is None:  # an empty YAML document
            values = {}
        if not isinstance(values, dict):
            _refuse(f"{name}: not a table of settings")
        return Layer(name, values)
    return None


def _require_plain(content: bytes) -> None:
    """Refuse YAML that would become much more than it is.

    libyaml's reader calls itself for each level, until the process ends; and each merge of a key
    with itself doubles what there is.

    Raises:
        ValueError: It is nested too deep, or names parts of itself.
        yaml.YAMLError: It is no YAML.

    """
    depth = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("anchors are not supported")  # noqa: TRY004 - the type is YAML's
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} deep")


def override_layer(
    overrides: Mapping[str, Mapping[str, Any]], full_name: str, name: str
) -> Layer | None:
    """Find what the server's configuration says of a model; `None` if nothing.

    What it says of one version is all that counts for that version. Which versions are served is
    no setting of a model.
    """
    for key in (full_name, name):
        if key in overrides:
            values = {k: v for k, v in overrides[key].items() if k != _VERSIONS}
            return Layer(f"[models.{key}] of the server's configuration", values)
    return None


def overlaid(layers: Iterable[Layer]) -> ModelSettings:
    """Lay settings over each other, key by key, in tables too; the last layer counts most.

    Raises:
        InvalidModel: A layer has an unknown key, or a value that can't be; the message says which
            layer.

    """
    said: dict[str, Any] = {}
    settings = ModelSettings()
    for layer in layers:
        try:
            said = _merged(said, layer.values)
            # After each, so that it is known whose fault it is.
            settings = msgspec.convert(said, ModelSettings)
        except (msgspec.ValidationError, RecursionError) as error:
            _refuse(f"{layer.place}: {error}")
    return settings


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _refuse(problem: str) -> NoReturn:
    raise InvalidModel(" ".join(problem.split()), LoadFailureCause.INVALID_SETTINGS)
