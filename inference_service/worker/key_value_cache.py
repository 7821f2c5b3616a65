"""How large the key-value cache of a model is, which the engine takes in blocks or whole gibibytes.

The engine tells how many bytes it has only when a model is loaded. So the size of a block is
worked out from the model first, and checked against what the engine says after.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino as ov

from inference_service.engine.settings import BLOCK_TOKENS, ModelSettings
from inference_service.worker.failures import LoadFailure

REPRODUCIBLE_PRECISION = "f32"
"""With less, what is computed depends on the batch: f16 does on processors without AVX-512."""
_GPU_BLOCK_TOKENS = 16
_DEFAULT_PRECISION = "u8"  # of the CPU plugin, on processors of x86
_RUNTIME_OPTION = ["runtime_options", "KV_CACHE_PRECISION"]
# Bytes of the key and the value of a token in one head of so many numbers. Quantized keys have a
# scale and a zero point for each number and block of tokens, values for each token.
_BYTES: dict[str, Callable[[int], float]] = {
    "f32": lambda size: 8 * size,
    "f16": lambda size: 4 * size,
    "bf16": lambda size: 4 * size,
    "u8": lambda size: 2.25 * size + 8,
    "u4": lambda size: 1.25 * size + 8,
}


def read_model(folder: str) -> Any:
    """Read the graph of a folder's model; its weights are mapped, not read.

    Raises:
        RuntimeError: The files are damaged, or of an operation that is not known.

    """
    return ov.Core().read_model(Path(folder, "openvino_model.xml"))


def block_tokens(device: str) -> int:
    """Return the tokens in a block, which the engine fixes for each kind of device."""
    return BLOCK_TOKENS if device == "CPU" else _GPU_BLOCK_TOKENS


def precision(model: Any, settings: ModelSettings) -> str:
    """Return the number format that the cache will have."""
    if settings.kv_cache_precision != "auto":
        return settings.kv_cache_precision
    if settings.reproducible:
        return REPRODUCIBLE_PRECISION
    if model.has_rt_info(_RUNTIME_OPTION):
        said = str(model.get_rt_info(_RUNTIME_OPTION).value)
        return said if said in _BYTES else _DEFAULT_PRECISION
    return _DEFAULT_PRECISION


def block_bytes(model: Any, settings: ModelSettings) -> int:
    """Work out the bytes of a block from a model's states: each has the keys or values of a layer.

    Raises:
        LoadFailure: The model has no such states.

    """
    of_head = _BYTES[precision(model, settings)]
    token_bytes = 0.0
    for operation in model.get_ops():
        if operation.get_type_name() != "ReadValue":
            continue
        shape = operation.get_output_partial_shape(0)
        if len(shape) == 4 and shape[1].is_static and shape[3].is_static:
            token_bytes += shape[1].get_length() * of_head(shape[3].get_length()) / 2
    if not token_bytes:
        raise LoadFailure("unsupported", "the model has no key-value cache: it generates no text")
    return int(token_bytes * block_tokens(settings.device))


def blocks_in(settings: ModelSettings, bytes_of_block: int) -> int:
    """Return how many blocks the model's budget holds.

    Args:
        settings: The model's.
        bytes_of_block: Of a block of the model, and of one of its draft model if it has one.

    Raises:
        LoadFailure: It doesn't hold what one sequence needs at least.

    """
    blocks = settings.kv_cache_bytes // bytes_of_block
    size = block_tokens(settings.device)
    least = 1
    if eviction := settings.cache_eviction:
        least = eviction.max_tokens // size + 2  # one is being filled before another is emptied
    if blocks < least:
        raise LoadFailure(
            "invalid_settings",
            f"kv_cache_bytes: {settings.kv_cache_bytes} is too little; a block of {size} tokens "
            f"takes {bytes_of_block} bytes, and {least} are needed at least",
        )
    return blocks


def told_block_bytes(told_bytes: int, blocks: int, number_format: str) -> int:
    """Return the bytes of a block by what the engine tells of the whole cache.

    It counts a byte for each number of 4 bits, but takes half of that.
    """
    return told_bytes // blocks // (2 if number_format == "u4" else 1)
