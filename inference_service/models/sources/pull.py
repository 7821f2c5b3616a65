"""Fetches a model and makes it one that the engine loads: a folder with OpenVINO IR."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from inference_service.models.sources.companions import has_tokenizer
from inference_service.models.sources.errors import ConversionFailed, ModelRefused
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.source import Source
from inference_service.models.sources.staging import Staging, staged
from inference_service.models.sources.watched import run_watched

CONVERTER = (sys.executable, "-m", "inference_service.worker.convert")
"""The command that converts: a process of its own, for only workers import OpenVINO."""

REFUSED_EXIT_CODE = 3
"""What the converter ends with when the file is not one that the engine can run."""

_IR_PER_WEIGHTS = 1.5
"""IR may be larger than a GGUF file, where the engine has no equal of a quantization."""


def pull(
    source: Source,
    name: str,
    models_dir: Path,
    report: Report,
    *,
    companions: Source | None = None,
    converter: Sequence[str] = CONVERTER,
) -> Path:
    """Fetch a model into the models' folder; it appears there whole or not at all.

    Args:
        source: Where it comes from.
        name: What it is to be called.
        models_dir: The folder of models; made if it is not there.
        report: Takes the progress.
        companions: Where the tokenizer and configuration of an ONNX file come from, if they are
            not with it.
        converter: The command that turns GGUF or ONNX into IR; the file's path is added to it.

    Returns:
        The model's folder.

    Raises:
        PullError: It couldn't be had.
        OSError: The disk failed.

    """
    with staged(models_dir, name) as staging:
        weights = source.fetch(staging, report)
        _complete(weights, companions, staging, report)
        if weights is not None:
            _convert(weights, staging, report, converter)
            weights.unlink()
        report(Progress("writing to disk"))
    return models_dir / name


def _complete(
    weights: Path | None, companions: Source | None, staging: Staging, report: Report
) -> None:
    """Bring what an ONNX file needs beside it, and refuse what nothing needs."""
    whole = weights is None or weights.suffix == ".gguf" or has_tokenizer(staging.folder)
    if companions is None and not whole:
        raise ModelRefused(
            "the ONNX file comes without a tokenizer; say with --with where that is: a package or "
            "a folder that has it"
        )
    if companions is None:
        return
    if whole:
        raise ModelRefused("the model has a tokenizer of its own; leave --with out")
    scratch = staging.scratch / "companions"
    scratch.mkdir()
    companions.fetch_companions(dataclasses.replace(staging, scratch=scratch), report)


def _convert(weights: Path, staging: Staging, report: Report, converter: Sequence[str]) -> None:
    size = weights.stat().st_size
    staging.require_space(int(size * _IR_PER_WEIGHTS), "convert the model")
    lines: list[str] = []
    code = run_watched(
        [*converter, str(weights)],
        on_line=lines.append,
        on_tick=lambda: report(Progress("converting to OpenVINO IR")),
        keep_open=[staging.lock],
    )
    if code == 0:
        return
    last = lines[-1] if lines else "it said nothing"
    if code == REFUSED_EXIT_CODE:
        raise ModelRefused(last)
    if code < 0:
        last = f"ended by signal {-code}, perhaps for want of memory"
    raise ConversionFailed(f"the model couldn't be converted: {last}")
