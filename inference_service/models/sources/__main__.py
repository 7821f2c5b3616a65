"""The process that fetches or converts a model: `python -m inference_service.models.sources`.

It reads one order from its input, writes how far it has come to its output, and says at last that
it is done or why not. SIGTERM ends it in order: what it started is ended, and what can't be used
by the next pull is deleted.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from inference_service.domain import WeightCompression
from inference_service.models.sources import messages
from inference_service.models.sources.cache import fill
from inference_service.models.sources.digests import Digests
from inference_service.models.sources.errors import PullError
from inference_service.models.sources.progress import Progress, Report
from inference_service.models.sources.pull import pull
from inference_service.models.sources.source import Options, source_from

_REPORT_SECONDS = 0.1


def main() -> int:
    """Do what is ordered."""
    # What libraries print must not come between the reports.
    output = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for a whole process group: the service decides
    signal.signal(signal.SIGTERM, _end)
    try:
        folder = _carry_out(messages.decode_order(sys.stdin.buffer.read()), _reporter(output))
    except PullError as error:
        _say(output, messages.failed(error))
    else:
        _say(output, messages.Done(str(folder)))
    return 0


def _carry_out(order: messages.Order, report: Report) -> Path:
    if isinstance(order, messages.ConvertOrder):
        return fill(Path(order.cache_root), Path(order.weights), report)
    options = Options(
        revision=order.revision,
        allow_patterns=order.allow_patterns,
        token=order.token,
        offline=order.offline,
        file_patterns=order.file_patterns,
    )
    beside = Options(token=order.token, offline=order.offline, file_patterns=order.file_patterns)
    compression = order.compression
    return pull(
        source_from(order.source, options),
        order.name,
        Path(order.models_dir),
        report,
        companions=source_from(order.companions, beside) if order.companions else None,
        digests=Digests(order.sha256),
        compression=WeightCompression(compression.format, compression.group_size)
        if compression
        else None,
    )


def _reporter(output: int) -> Report:
    """Give what writes progress, not more often than anyone wants to read it."""
    last: tuple[str, float] = ("", 0.0)

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        complete = progress.completed_bytes == progress.total_bytes
        if progress.stage == last[0] and not complete and now - last[1] < _REPORT_SECONDS:
            return
        last = (progress.stage, now)
        said = messages.Progressed(progress.stage, progress.completed_bytes, progress.total_bytes)
        _say(output, said)

    return report


def _say(output: int, report: messages.Report) -> None:
    line = messages.encode(report)
    while line:
        line = line[os.write(output, line) :]


def _end(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, and the clean-up takes a moment
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
