"""What a folder must have to be a model, and what may stand beside a model's weights."""

from __future__ import annotations

import tomllib
from pathlib import Path

IR_FILES = ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml")
"""Without these a folder is no OpenVINO export."""
_SETTINGS_FILE = "model.toml"

WEIGHTS = (".gguf", ".onnx")
"""Files that are converted to OpenVINO IR."""

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "tokenizer.model")
"""Any of these is a tokenizer as transformers reads it."""

COMPANION_FILES = (
    *TOKENIZER_FILES,
    "1_Pooling/config.json",
    "added_tokens.json",
    "config.json",
    "config_sentence_transformers.json",
    "merges.txt",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "vocab.json",
)
"""Tokenizer and configuration, as Hugging Face models have them."""


def missing_files(folder: Path) -> list[str]:
    """Name the files that a model's folder lacks; a model of the fake engine needs none of them."""
    return [
        name
        for name in IR_FILES
        if not (folder / name).is_file() and not _is_for_fake_engine(folder)
    ]


def is_whole(folder: Path) -> bool:
    """Say whether a folder has what an OpenVINO model needs."""
    return all((folder / name).is_file() for name in IR_FILES)


def _is_for_fake_engine(folder: Path) -> bool:
    try:
        settings = tomllib.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return settings.get("engine") == "fake"
