"""Models that are on disk: a GGUF or ONNX file, or a folder with OpenVINO IR or ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference_service.models.sources.companions import has_tokenizer, take_from_folder
from inference_service.models.sources.digests import Digests
from inference_service.models.sources.disk import copy_stream
from inference_service.models.sources.errors import (
    InvalidSource,
    ModelRefused,
    SourceNotAllowed,
    SourceNotFound,
)
from inference_service.models.sources.folder import COMPANION_FILES, WEIGHTS, missing_files
from inference_service.models.sources.progress import Report
from inference_service.models.sources.selection import data_of
from inference_service.models.sources.source import Options, is_allowed
from inference_service.models.sources.staging import Staging


@dataclass(frozen=True)
class FileSource:
    """A model at a path.

    Attributes:
        path: Where it is.
        patterns: What the files must match after all links are followed; None is any.

    """

    path: Path
    patterns: tuple[str, ...] | None = None

    identity = None

    @classmethod
    def parse(cls, text: str, options: Options | None = None) -> FileSource:
        """Read what stands after `file:`."""
        if not text:
            raise InvalidSource("file: needs the path of a .gguf file or of a folder")
        options = options or Options()
        options.require_hub()
        return cls(Path(text).expanduser().absolute(), options.file_patterns)

    @property
    def name(self) -> str:
        """The file's name without its ending, or the folder's; see `Source`."""
        return self.path.stem if self.path.suffix in WEIGHTS else self.path.name

    def fetch(self, staging: Staging, report: Report, digests: Digests) -> Path | None:
        """Link to the file, or copy the folder; see `Source`."""
        self._check(self.path)
        if self.path.is_dir():
            onnx = self.path / "model.onnx"
            if not onnx.is_file():
                self._copy_folder(staging, report, digests)
                return None
            self._take_companions(self.path, staging, report)
            return self._link(onnx, staging, digests)
        if not self.path.is_file():
            raise SourceNotFound(f"no file or folder {self.path}")
        if self.path.suffix not in WEIGHTS:
            raise ModelRefused(f"{self.path} is neither a .gguf or .onnx file nor a folder")
        if self.path.suffix == ".onnx" and has_tokenizer(self.path.parent):
            self._take_companions(self.path.parent, staging, report)
        return self._link(self.path, staging, digests)

    def fetch_companions(self, staging: Staging, report: Report) -> None:
        """Copy tokenizer and configuration out of the folder; see `Source`."""
        self._check(self.path)
        if not self.path.is_dir():
            raise SourceNotFound(f"no folder {self.path}")
        self._take_companions(self.path, staging, report)

    def _take_companions(self, folder: Path, staging: Staging, report: Report) -> None:
        for name in COMPANION_FILES:
            self._check(folder / name)
        take_from_folder(folder, staging, report)

    def _copy_folder(self, staging: Staging, report: Report, digests: Digests) -> None:
        if missing := missing_files(self.path):
            raise ModelRefused(f"{self.path} is no OpenVINO model: it lacks {', '.join(missing)}")
        files = [file for file in self.path.iterdir() if file.is_file()]
        files += [
            file for name in COMPANION_FILES if "/" in name and (file := self.path / name).is_file()
        ]
        for file in files:
            self._check(file)
        staging.require_space(sum(file.stat().st_size for file in files), "copy the model")
        for file in files:
            inside = file.relative_to(self.path)
            target = staging.folder / inside
            target.parent.mkdir(exist_ok=True)
            with file.open("rb") as reader:
                copy_stream(reader, target, report, f"copying {file.name}", file.stat().st_size)
            digests.check(inside.as_posix(), target)

    def _link(self, file: Path, staging: Staging, digests: Digests) -> Path:
        self._check(file)
        link = staging.folder / f"model{file.suffix}"
        link.symlink_to(file)
        digests.check(file.name, link)
        for data in data_of(file.name, [beside.name for beside in file.parent.iterdir()]):
            self._check(file.parent / data)
            (staging.folder / data).symlink_to(file.parent / data)
            digests.check(data, file.parent / data)
        return link

    def _check(self, file: Path) -> None:
        """Refuse what a link leads to outside the allowed places."""
        if self.patterns is None:
            return
        resolved, root = file.resolve(), self.path.resolve()
        inside = file != self.path and resolved.is_relative_to(root)
        if not inside and not is_allowed(f"file:{resolved}", self.patterns):
            raise SourceNotAllowed(f"{file} is outside the places that models may be pulled from")
