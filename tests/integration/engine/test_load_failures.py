"""Loads that fail, in real workers: what the service is told."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_service.domain import LoadFailureCause
from inference_service.engine import frames
from inference_service.engine.failure import LoadError
from inference_service.engine.settings import Adapter, ModelSettings
from inference_service.engine.worker import Worker
from tests import tiny_llama

TIMEOUT_SECONDS = 60
SOURCE = re.compile(r"\.(?:cpp|hpp|cc|h):\d+|/home/|site-packages|Check '")


async def start(folder: Path, kind: str = "generation", **settings: Any) -> Worker:
    values = {"kv_cache_bytes": 10_000_000} | settings
    load = frames.Load(str(folder), ModelSettings(**values), tiny_llama.CONTEXT_LENGTH, kind)
    return await Worker.start("m", load, timeout_seconds=TIMEOUT_SECONDS)


def cut(file: Path, part: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])


def unknown_operation(file: Path) -> None:
    file.write_text(file.read_text().replace('type="MatMul"', 'type="MatMull"', 1))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "half an xml": (lambda f: cut(f / "openvino_model.xml", 0.5), "at offset"),
    "empty xml": (lambda f: cut(f / "openvino_model.xml", 0), "Unable to read the model"),
    "half the weights": (lambda f: cut(f / "openvino_model.bin", 0.5), "Incorrect weights"),
    "no weights": (lambda f: (f / "openvino_model.bin").unlink(), "bin file"),
    "no tokenizer": (lambda f: (f / "openvino_tokenizer.xml").unlink(), "tokenizer"),
    "half a tokenizer": (lambda f: cut(f / "openvino_tokenizer.xml", 0.5), "at offset"),
    "no detokenizer": (lambda f: (f / "openvino_detokenizer.xml").unlink(), "detokenizer"),
    "bad configuration": (lambda f: cut(f / "generation_config.json", 0.5), "parse error"),
}


def check(error: LoadError, cause: LoadFailureCause, why: str) -> None:
    message = str(error)
    assert error.cause is cause, message
    assert why in message
    assert "\n" not in message
    assert not SOURCE.search(message), message


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_files_are_told(tiny_model: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "m")
    spoil, why = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(LoadError) as raised:
        await start(folder)
    check(raised.value, LoadFailureCause.INVALID_FILES, why)


async def test_operation_that_the_engine_lacks_is_told(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "m")
    unknown_operation(folder / "openvino_model.xml")
    with pytest.raises(LoadError) as raised:
        await start(folder)
    check(raised.value, LoadFailureCause.UNSUPPORTED, "MatMull")


@pytest.mark.parametrize(
    ("settings", "cause", "why"),
    [
        ({"device": "TPU"}, LoadFailureCause.INVALID_SETTINGS, '"TPU"'),
        ({"kv_cache_bytes": 1000}, LoadFailureCause.INVALID_SETTINGS, "kv_cache_bytes: 1000"),
        ({"kv_cache_bytes": 1 << 44}, LoadFailureCause.OUT_OF_MEMORY, "not enough memory"),
        ({"memory_limit_bytes": 1 << 20}, LoadFailureCause.OUT_OF_MEMORY, "not enough memory"),
        ({"memory_limit_bytes": 200 << 20}, LoadFailureCause.OUT_OF_MEMORY, "not enough memory"),
        (
            {"memory_limit_bytes": 600 << 20, "kv_cache_bytes": 1 << 30},
            LoadFailureCause.OUT_OF_MEMORY,
            "not enough memory",
        ),
        (
            {"adapters": {"a": Adapter(file="a")}, "enable_prefix_caching": True},
            LoadFailureCause.INVALID_SETTINGS,
            "can't be used together",
        ),
    ],
)
async def test_settings_that_cannot_be_are_told(
    tiny_model: Path, settings: dict[str, Any], cause: LoadFailureCause, why: str
) -> None:
    with pytest.raises(LoadError) as raised:
        await start(tiny_model, **settings)
    check(raised.value, cause, why)


async def test_model_for_another_purpose_is_told(tiny_model: Path) -> None:
    with pytest.raises(LoadError) as raised:
        await start(tiny_model, "embedding", pooling="mean")
    check(raised.value, LoadFailureCause.UNSUPPORTED, "inputs of another kind")
