"""Turns GGUF and ONNX files into OpenVINO IR, and compresses the weights of IR.

Both are done by processes of their own, for only workers import OpenVINO.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from inference_service.domain import WeightCompression
from inference_service.models.sources.errors import (
    ConversionFailed,
    InvalidOption,
    ModelRefused,
)
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.staging import Staging
from inference_service.models.sources.watched import run_watched

CONVERTER = (sys.executable, "-P", "-m", "inference_service.worker.convert")
"""The command that converts; the file's path is added to it."""

COMPRESSOR = (sys.executable, "-P", "-m", "inference_service.worker.compress")
"""The command that compresses; folder, format and group size are added to it."""

REFUSED_EXIT_CODE = 3
"""What both end with when the model is not one that the engine can run."""

CONVERTING = "converting to OpenVINO IR"
"""The stage of a conversion."""

GROUP_SIZES = (32, 64, 128, 256)
"""Weights that may share a scale, of 4-bit formats."""

_IR_PER_WEIGHTS = 1.5
"""IR may be larger than a GGUF file, where the engine has no equal of a quantization."""


def convert(
    weights: Path, staging: Staging, report: Report, converter: Sequence[str] = CONVERTER
) -> None:
    """Write the IR of a file beside it.

    Args:
        weights: A GGUF or ONNX file, or a link to it.
        staging: The folder that it is in.
        report: Takes the progress.
        converter: The command.

    Raises:
        ModelRefused: The engine can't run such a model.
        ConversionFailed: It should, but the conversion failed.
        NotEnoughSpace: The disk has too little room.

    """
    size = weights.stat().st_size
    staging.require_space(int(size * _IR_PER_WEIGHTS), "convert the model")
    _run([*converter, str(weights)], CONVERTING, "converted", weights, staging, report)


def require_possible(compression: WeightCompression) -> None:
    """Check how weights are to be compressed.

    Raises:
        InvalidOption: There is no such compression.

    """
    size = compression.group_size
    field = "compression.group_size"
    if size is not None and compression.format == "int8":
        raise InvalidOption(field, "is of 4-bit formats only")
    if size is not None and size not in GROUP_SIZES:
        raise InvalidOption(field, f"{size} is none of {', '.join(map(str, GROUP_SIZES))}")


def compress(
    compression: WeightCompression,
    staging: Staging,
    report: Report,
    compressor: Sequence[str] = COMPRESSOR,
) -> None:
    """Compress the weights of the IR in a staging folder.

    Raises:
        ModelRefused: The model has no weights that can be compressed so.
        ConversionFailed: The compression failed.
        NotEnoughSpace: The disk has too little room.

    """
    weights = staging.folder / "openvino_model.bin"
    staging.require_space(weights.stat().st_size, "compress the model")
    command = [
        *(*compressor, str(staging.folder), compression.format),
        *([str(compression.group_size)] if compression.group_size else []),
    ]
    stage = f"compressing weights to {compression.format}"
    _run(command, stage, "compressed", weights, staging, report)


def _run(
    command: Sequence[str], stage: str, done: str, weights: Path, staging: Staging, report: Report
) -> None:
    lines: list[str] = []
    code = run_watched(
        command,
        on_line=lines.append,
        on_tick=lambda: report(Progress(stage)),
        keep_open=[staging.lock],
    )
    if code == 0:
        return
    last = lines[-1] if lines else "it said nothing"
    for folder in (weights.parent, weights.resolve().parent):  # of no use to who asked
        last = last.replace(f"{folder}/", "").replace(str(folder), "its folder")
    if code == REFUSED_EXIT_CODE:
        raise ModelRefused(last)
    if code < 0:
        last = f"ended by signal {-code}, perhaps for want of memory"
    raise ConversionFailed(f"the model couldn't be {done}: {last}")
