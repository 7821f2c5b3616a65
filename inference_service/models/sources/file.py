"""Models that are on disk: a GGUF file, or a folder with OpenVINO IR."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference_service.models.sources.disk import copy_stream
from inference_service.models.sources.errors import InvalidSource, ModelRefused, SourceNotFound
from inference_service.models.sources.folder import missing_files
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
        """Link to the GGUF file, or copy the folder; see `Source`."""
        if self.path.is_dir():
            self._copy_folder(staging, report)
            return None
        if not self.path.is_file():
            raise SourceNotFound(f"no file or folder {self.path}")
        if self.path.suffix != ".gguf":
            raise ModelRefused(f"{self.path} is neither a .gguf file nor a folder")
        link = staging.folder / "model.gguf"
        link.symlink_to(self.path)
        return link

    def _copy_folder(self, staging: Staging, report: Report) -> None:
        if missing := missing_files(self.path):
            raise ModelRefused(f"{self.path} is no OpenVINO model: it lacks {', '.join(missing)}")
        files = [file for file in self.path.iterdir() if file.is_file()]
        staging.require_space(sum(file.stat().st_size for file in files), "copy the model")
        for file in files:
            with file.open("rb") as reader:
                stage = f"copying {file.name}"
                copy_stream(reader, staging.folder / file.name, report, stage, file.stat().st_size)
