"""Folders and files of models as they look on disk, which no engine could run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 2048,
}
GRAPHS = ("openvino_model", "openvino_tokenizer", "openvino_detokenizer")


def graph(constants: Mapping[str, int]) -> str:
    """Give an IR's XML with a constant of each element type, by its bytes, one after the other."""
    layers, offset = [], 0
    for number, (kind, size) in enumerate(constants.items()):
        layers.append(
            f'<layer id="{number}" name="c{number}" type="Const" version="opset1"><data '
            f'element_type="{kind}" shape="{size}" offset="{offset}" size="{size}" /></layer>'
        )
        offset += size
    return (
        '<?xml version="1.0"?>\n<net name="Model" version="11"><layers>'
        '<layer id="99" name="input_ids" type="Parameter"><data shape="?,?" element_type="i64" />'
        f"</layer>{''.join(layers)}</layers><rt_info /></net>\n"
    )


def write_ir(folder: Path, constants: Mapping[str, int] | None = None, **files: object) -> Path:
    """Write a folder as Hugging Face's exporter does.

    Args:
        folder: The folder.
        constants: Bytes of the weights, by element type.
        files: More files, as for `write`.

    """
    weights = constants or {"f16": 64, "i64": 8}
    for name in GRAPHS:
        own = weights if name == GRAPHS[0] else {"u8": 16}
        write(folder, **{f"{name}__xml": graph(own)})
        (folder / f"{name}.bin").write_bytes(bytes(sum(own.values())))
    return write(folder, **{"config__json": CONFIG} | files)


def write(folder: Path, **files: object) -> Path:
    """Write files, text or JSON, by name; `__` in a name stands for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def write_fake(folder: Path) -> Path:
    """Write a folder for the fake engine."""
    return write(folder, model__toml='engine = "fake"\ncontext_length = 8')


def write_gguf(path: Path, architecture: str = "llama", **values: Any) -> Path:
    """Write a GGUF file with a few tokens and two tensors; a value of None leaves its key out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, architecture)
    said = {
        "context_length": 4096,
        "file_type": int(LlamaFileType.MOSTLY_Q8_0),
        "chat_template": "{{ messages[0].content }}",
        "token_list": ["a", "b", "c"],
    } | values
    for key, value in said.items():
        if value is not None:
            getattr(writer, f"add_{key}")(value)
    writer.add_tensor("norm", np.zeros(32, np.float32))
    blocks = np.zeros((4, 34), np.uint8)
    writer.add_tensor("weights", blocks, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_onnx(folder: Path, **files: object) -> Path:
    """Write a folder with an ONNX file of one field, a graph, and a tokenizer beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(b"\x08\x0a\x3a\xac\x02" + bytes(300))
    config = {"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 512}
    write(folder / "1_Pooling", config__json={"pooling_mode": "cls"})
    return write(folder, **{"config__json": config, "tokenizer__json": {}} | files)


def age(path: Path, seconds: float = 3600) -> None:
    """Make files look as if they had been written some time ago."""
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        when = file.stat().st_mtime - seconds
        os.utime(file, (when, when))
