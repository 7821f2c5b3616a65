"""Turns an ONNX file and a Hugging Face tokenizer beside it into OpenVINO IR, in their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Refused(Exception):
    """The file is not a model that the engine can run. The message is one line for the user."""


def write_ir(onnx: Path) -> None:
    """Write the IR of the model and of its tokenizer beside the file.

    Raises:
        Refused: OpenVINO or transformers can't read a file.

    """
    import openvino as ov
    from openvino_tokenizers import convert_tokenizer

    model = _read(onnx)
    tokenizer, detokenizer = convert_tokenizer(_tokenizer(onnx.parent), with_detokenizer=True)
    # Weights stay as they are: halving 32-bit ones is the model's author's to decide.
    for name, graph in (("model", model), ("tokenizer", tokenizer), ("detokenizer", detokenizer)):
        ov.save_model(graph, onnx.parent / f"openvino_{name}.xml", compress_to_fp16=False)


def _read(onnx: Path) -> Any:
    import openvino as ov

    try:
        model = ov.Core().read_model(onnx)
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise Refused(
            f"OpenVINO can't read the ONNX file: {lines[-1] if lines else error}"
        ) from error
    names = {port.get_any_name() for port in model.inputs}
    if "input_ids" not in names:
        raise Refused(f"the ONNX model takes no token ids, but {', '.join(sorted(names))}")
    return model


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refused(f"transformers can't read the tokenizer: {first}") from error
