"""Models of the Hugging Face hub: `hf:OWNER/NAME`."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inference_service.models.sources.digests import Digests, sha256_of
from inference_service.models.sources.errors import (
    InvalidOption,
    InvalidSource,
    ModelRefused,
    SourceUnreachable,
)
from inference_service.models.sources.folder import TOKENIZER_FILES
from inference_service.models.sources.hub import Hub, HubFile
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.selection import (
    data_of,
    is_ir,
    select,
    select_companions,
    weights_among,
)
from inference_service.models.sources.source import Options
from inference_service.models.sources.staging import Staging
from inference_service.models.sources.transfer import Transfer

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_]|[.-](?=[A-Za-z0-9_])){0,95}"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_TOKEN = re.compile(r"[!-~]{1,1024}")
_LONGEST_REVISION = 200


@dataclass(frozen=True)
class HfSource:
    """A repository of the hub, or of what `HF_ENDPOINT` names in its place."""

    repository: str
    options: Options

    @classmethod
    def parse(cls, text: str, options: Options | None = None) -> HfSource:
        """Read what stands after `hf:`."""
        options = options or Options()
        if not _REPOSITORY.fullmatch(text) or text.endswith(".git"):
            raise InvalidSource(f"'hf:{text}' is no source; write hf:OWNER/NAME")
        revision = options.revision
        if revision is not None and not (
            0 < len(revision) <= _LONGEST_REVISION and revision.isprintable()
        ):
            raise InvalidOption("revision", "must be a branch, a tag or a commit")
        if not all(pattern and pattern.isprintable() for pattern in options.allow_patterns):
            raise InvalidOption("allow_patterns", "a pattern is empty or can't be printed")
        if options.token is not None and not _TOKEN.fullmatch(options.token):
            raise InvalidOption("token", "is none that a hub gives")
        return cls(text, options)

    @property
    def name(self) -> str:
        """What follows the owner; see `Source`."""
        return self.repository.partition("/")[2]

    @property
    def identity(self) -> str:
        """Repository, revision and patterns; see `Source`."""
        return repr((self.repository, self.options.revision, self.options.allow_patterns))

    def fetch(self, staging: Staging, report: Report, digests: Digests) -> Path | None:
        """Fetch what is not there from an earlier pull; see `Source`."""
        hub, listed = self._list(report)
        paths = select(listed, self.options.allow_patterns, self._source)
        transfer = Transfer(staging.downloads, hub.headers(), self._source)
        files = [listed[path] for path in paths]
        for file in files:
            if file.has_sha256:
                digests.compare(file.path, file.digest)
        transfer.keep_only(files)
        fetched = self._fetch(files, transfer, staging, report)
        for path, blob in fetched.items():
            if not listed[path].has_sha256:
                digests.compare(path, sha256_of(blob))
        if is_ir(paths):
            _place(fetched, staging.folder)
            return None
        weights = weights_among(paths)
        if weights is None:
            raise AssertionError("files without a model were selected")
        if weights.endswith(".gguf"):
            return _link(fetched[weights], staging.folder / "model.gguf")
        return _place_onnx(weights, fetched, staging.folder)

    def fetch_companions(self, staging: Staging, report: Report) -> None:
        """Fetch tokenizer and configuration alone; see `Source`."""
        hub, listed = self._list(report)
        paths = select_companions(listed, self._source)
        if not set(paths) & set(TOKENIZER_FILES):
            raise ModelRefused(
                f"{self._source} has no tokenizer: none of {', '.join(TOKENIZER_FILES)}"
            )
        transfer = Transfer(staging.downloads, hub.headers(), self._source)
        files = [listed[path] for path in paths]
        _place(self._fetch(files, transfer, staging, report), staging.folder)

    @property
    def _source(self) -> str:
        return f"hf:{self.repository}"

    def _list(self, report: Report) -> tuple[Hub, dict[str, HubFile]]:
        if self.options.offline or Hub.is_offline():
            raise SourceUnreachable(f"offline: {self._source} is not fetched from the hub")
        report(Progress(f"looking for {self._source}"))
        hub = Hub(self.options.token)
        files = hub.files(self.repository, self.options.revision)
        return hub, {file.path: file for file in files}

    def _fetch(
        self, files: list[HubFile], transfer: Transfer, staging: Staging, report: Report
    ) -> dict[str, Path]:
        """Fetch files, the small ones first, and give where each is."""
        total = sum(file.size for file in files)
        present = {file.path: transfer.present_bytes(file) for file in files}
        staging.require_space(total - sum(present.values()), f"download {self._source}")
        fetched: dict[str, Path] = {}
        for file in sorted(files, key=lambda file: file.size):
            stage = f"downloading {file.path}"

            def on_bytes(done: int, file: HubFile = file, stage: str = stage) -> None:
                present[file.path] = done
                report(Progress(stage, sum(present.values()), total))

            fetched[file.path] = transfer.fetch(file, on_bytes)
        return fetched


def _place(fetched: dict[str, Path], folder: Path) -> None:
    """Put files where the hub has them; as links, so that an interrupted pull keeps them."""
    for path, blob in fetched.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(blob, target)


def _place_onnx(weights: str, fetched: dict[str, Path], folder: Path) -> Path:
    """Put an ONNX file and what it needs into one folder, without the folders it came in."""
    together = {weights, *data_of(weights, fetched)}
    _place({path: blob for path, blob in fetched.items() if path not in together}, folder)
    for path in together:
        _link(fetched[path], folder / PurePosixPath(path).name)
    return folder / PurePosixPath(weights).name


def _link(blob: Path, target: Path) -> Path:
    try:
        target.hardlink_to(blob)
    except FileExistsError as error:
        raise ModelRefused(f"two files of the repository are both named {target.name}") from error
    except OSError:  # a file system without hard links
        shutil.copyfile(blob, target)
    return target
