"""LoRA adapters of a model: checked first, as the engine leaves out what doesn't fit.

The engine has one state of adapters for a whole batch, which only its `generate` sets; requests
that are added and stepped are computed with whatever was set last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import openvino_genai as genai
from safetensors import SafetensorError, safe_open

from inference_service.engine import settings as model_settings
from inference_service.worker.failures import LoadFailure

_PREFIX = "base_model.model."  # what PEFT puts before the names of the model's own modules
_PARTS = _A, _B = ".lora_A.weight", ".lora_B.weight"
_Shape: TypeAlias = tuple[int, int]


class Adapters:
    """The adapters of a model, ready to be given to the engine.

    Args:
        adapters: As the settings have them.
        model: The model's graph.
        folder: The model's folder.

    Raises:
        LoadFailure: A file is missing or damaged, or is no adapter of this model.

    """

    def __init__(
        self, adapters: Mapping[str, model_settings.Adapter], model: Any, folder: str
    ) -> None:
        layers = _layers(model)
        self._adapters: dict[str, tuple[Any, float]] = {}
        for name, adapter in adapters.items():
            file = Path(folder, adapter.file)
            _check(name, file, layers)
            self._adapters[name] = (genai.Adapter(file), adapter.alpha)

    @property
    def names(self) -> frozenset[str]:
        """The names that requests may use."""
        return frozenset(self._adapters)

    def properties(self) -> dict[str, Any]:
        """Return the properties of a pipeline that can use each of them; none at first."""
        if not self._adapters:
            return {}
        # Of the other modes some can't be changed later, and some can't hold several.
        mode = genai.AdapterConfig.Mode.MODE_DYNAMIC
        return {"adapters": genai.AdapterConfig(list(self._adapters.values()), mode)}

    def config(self, name: str | None) -> Any:
        """Return what sets the engine's state to one adapter, or to none."""
        if name is None:
            return genai.AdapterConfig()
        adapter, alpha = self._adapters[name]
        return genai.AdapterConfig(adapter, alpha)


def _layers(model: Any) -> dict[str, _Shape]:
    """Return what multiplies by weights, by its name: how many numbers go out of it, and in."""
    layers: dict[str, _Shape] = {}
    for operation in model.get_ops():
        if operation.get_type_name() == "MatMul":
            weights = operation.input_value(1).get_partial_shape()
            if (
                weights.is_static
                and len(weights) == 2
                and operation.get_attributes()["transpose_b"]
            ):
                rows, columns = weights.to_shape()
                layers[operation.get_friendly_name()] = (rows, columns)
    return layers


def _check(name: str, file: Path, layers: Mapping[str, _Shape]) -> None:
    """Refuse a file if the engine would fail with it later, or leave a part of it out."""
    key = f"adapters.{name}.file"
    try:
        with safe_open(file, "np") as tensors:
            names = list(tensors.keys())
            shapes = {tensor: tensors.get_slice(tensor).get_shape() for tensor in names}
    except FileNotFoundError as error:
        raise LoadFailure("invalid_settings", f"{key}: there is no such file") from error
    except (SafetensorError, OSError) as error:
        raise LoadFailure("invalid_files", f"{key}: it can't be read: {error}") from error
    other = sorted(tensor for tensor in shapes if not tensor.endswith((*_PARTS, ".alpha")))
    if other:
        raise LoadFailure("unsupported", f"{key}: it has more than LoRA's matrices: {other[0]!r}")
    places = {tensor.removesuffix(_A) for tensor in shapes if tensor.endswith(_A)}
    if not places or places != {
        tensor.removesuffix(_B) for tensor in shapes if tensor.endswith(_B)
    }:
        raise LoadFailure("invalid_files", f"{key}: it has no pairs of a LoRA adapter's matrices")
    for place in sorted(places):
        layer = _layer(place, layers)
        if layer is None:
            problem = f"{key}: the model has no layer {place!r}; it needs one that is named so"
            raise LoadFailure("invalid_settings", problem)
        adapted = (shapes[place + _B][0], shapes[place + _A][-1])
        if adapted != layers[layer]:
            problem = f"{key}: {place!r} is for a layer of {adapted}, but that has {layers[layer]}"
            raise LoadFailure("invalid_settings", problem)


def _layer(place: str, layers: Iterable[str]) -> str | None:
    """Find the layer that a tensor's name means; the engine looks for it in the same way."""
    if not place.startswith(_PREFIX):
        return None
    own = place.removeprefix(_PREFIX)
    return next((name for name in layers if own in name or own in name.replace(".", "_")), None)
