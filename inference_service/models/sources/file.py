"""Models that are on disk: a GGUF or ONNX file, or a folder with OpenVINO IR or ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference_service.models.sources.companions import has_tokenizer, take_from_folder
from inference_service.models.sources.disk import copy_stream
from inference_service.models.sources.errors import InvalidSource, ModelRefused, SourceNotFound
from inference_service.models.sources.folder import COMPANION_FILES, WEIGHTS, missing_files
from inference_service.models.sources.progress import Report
from inference_service.models.sources.staging import Staging


@dataclass(frozen=True)
class FileSource:
    """A model at a path."""

    path: Path

    @classmethod
    def parse(cls, text: str) -> FileSource:
        """Read what stands after `file:`."""
        if not text:
            raise InvalidSource("file: needs the path of a .gguf file or of a folder")
        return cls(Path(text).expanduser().absolute())

    def fetch(self, staging: Staging, report: Report) -> Path | None:
        """Link to the file, or copy the folder; see `Source`."""
        if self.path.is_dir():
            onnx = self.path / "model.onnx"
            if not onnx.is_file():
                self._copy_folder(staging, report)
                return None
            take_from_folder(self.path, staging, report)
            return _link(onnx, staging)
        if not self.path.is_file():
            raise SourceNotFound(f"no file or folder {self.path}")
        if self.path.suffix not in WEIGHTS:
            raise ModelRefused(f"{self.path} is neither a .gguf or .onnx file nor a folder")
        if self.path.suffix == ".onnx" and has_tokenizer(self.path.parent):
            take_from_folder(self.path.parent, staging, report)
        return _link(self.path, staging)

    def fetch_companions(self, staging: Staging, report: Report) -> None:
        """Copy tokenizer and configuration out of the folder; see `Source`."""
        if not self.path.is_dir():
            raise SourceNotFound(f"no folder {self.path}")
        take_from_folder(self.path, staging, report)

    def _copy_folder(self, staging: Staging, report: Report) -> None:
        if missing := missing_files(self.path):
            raise ModelRefused(f"{self.path} is no OpenVINO model: it lacks {', '.join(missing)}")
        files = [file for file in self.path.iterdir() if file.is_file()]
        files += [
            file for name in COMPANION_FILES if "/" in name and (file := self.path / name).is_file()
        ]
        staging.require_space(sum(file.stat().st_size for file in files), "copy the model")
        for file in files:
            with file.open("rb") as reader:
                stage = f"copying {file.name}"
                target = staging.folder / file.relative_to(self.path)
                target.parent.mkdir(exist_ok=True)
                copy_stream(reader, target, report, stage, file.stat().st_size)


def _link(file: Path, staging: Staging) -> Path:
    link = staging.folder / f"model{file.suffix}"
    link.symlink_to(file)
    return link
