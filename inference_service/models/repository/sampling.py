"""How a model samples where requests leave it open."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from inference_service.engine.settings import SamplingSettings
from inference_service.models.repository.files import ModelFiles

_NUMBERS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
_LARGEST_NUMBER = 1e9


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """A model's own defaults, from its settings, else `generation_config.json`.

    `None` is not stated.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None


def read_sampling(files: ModelFiles, settings: SamplingSettings) -> SamplingDefaults:
    """Read a model's own defaults, and lay those of its settings over them.

    Raises:
        InvalidModel: `generation_config.json` can't be read.

    """
    said = msgspec.structs.asdict(settings)
    over = {name: value for name, value in said.items() if value is not None}
    return replace(_generation_config(files), **over)


def _generation_config(files: ModelFiles) -> SamplingDefaults:
    config = files.read_object("generation_config.json")
    if config.get("do_sample") is False:
        # The transformers default, which exporters write unasked; it says nothing of temperature.
        config = {"repetition_penalty": config.get("repetition_penalty")}
    known = {name: config[name] for name in _NUMBERS if _is_number(config.get(name))}
    if "top_k" in known:
        top_k = int(known.pop("top_k"))
        if top_k > 0:  # 0 is transformers' way to say all, -1 that of others
            known["top_k"] = top_k
    return SamplingDefaults(**{name: value for name, value in known.items() if _fits(name, value)})


def _fits(name: str, value: float) -> bool:
    """Say whether a default is one that a request could ask for; the engine fails of others."""
    try:
        msgspec.convert({name: value}, SamplingSettings)
    except msgspec.ValidationError:
        return False
    return True


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGEST_NUMBER  # type: ignore[arg-type]  # nor NaN
