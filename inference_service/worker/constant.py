"""A model whose logits are a constant: GenAI gives its grammar compiler to pipelines only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai
from openvino import opset13 as op


def constant_pipeline(tokenizer: Any, vocabulary_size: int) -> Any:
    """Return a pipeline that finds all tokens equally likely, and has the tokenizer's compiler.

    It costs little; a first token takes the grammar's parse, its compilation and the first mask.

    Args:
        tokenizer: Its compiler, with all that this compiled, is shared by its pipelines.
        vocabulary_size: How many logits there are.

    """
    xml, weights = _constant_model(vocabulary_size)
    config = genai.GenerationConfig()
    return genai.LLMPipeline(
        xml, weights, tokenizer, "CPU", config, ATTENTION_BACKEND="SDPA", INFERENCE_NUM_THREADS=1
    )


def _constant_model(vocabulary_size: int) -> tuple[str, Any]:
    inputs = {
        name: op.parameter(shape, dtype, name=name)
        for name, shape, dtype in (
            ("input_ids", [-1, -1], np.int64),
            ("attention_mask", [-1, -1], np.int64),
            ("beam_idx", [-1], np.int32),
        )
    }
    for name, node in inputs.items():
        node.output(0).set_names({name})
    size = op.constant([vocabulary_size], dtype=np.int64)
    shape = op.concat([op.shape_of(inputs["input_ids"]), size], 0)
    logits = op.broadcast(op.constant(0.0, dtype=np.float32), shape)
    # An input that nothing reads would be cut from the model, and the pipeline sets all of them.
    for name, axes in (("attention_mask", [0, 1]), ("beam_idx", [0])):
        total = op.reduce_sum(inputs[name], op.constant(axes, dtype=np.int64))
        nothing = op.multiply(op.convert(total, "f32"), op.constant(0.0, dtype=np.float32))
        logits = op.add(logits, nothing)
    logits.output(0).set_names({"logits"})
    model = ov.Model([op.result(logits)], list(inputs.values()), "constant")
    with tempfile.TemporaryDirectory() as folder:
        xml, weights = Path(folder, "model.xml"), Path(folder, "model.bin")
        ov.serialize(model, xml, weights)
        return xml.read_text(), ov.Tensor(np.fromfile(weights, dtype=np.uint8))
