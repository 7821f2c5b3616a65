"""Reads in a tier's log what a user should know of it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LINES = 5
_WIDTH = 200
_QUIET_LEVELS = ("debug", "info")
_NOT_SHOWN = ("event", "level", "timestamp")
_OPENVINO_PLACE = "Exception from src/"
_LOAD_FAILED = "model.load_failed"
_LOAD_REFUSED = "model.load_refused"
_MISSING = "model.missing"


@dataclass(frozen=True)
class LoadProblem:
    """Why a model is not there.

    Attributes:
        cause: For people; None if it isn't known.
        kind: For programs, such as `invalid_files`; `missing` if there is no such model; None if
            the log doesn't say.

    """

    cause: str | None = None
    kind: str | None = None


def load_problems(log: Path) -> dict[str, LoadProblem]:
    """Find why models could last not be loaded, by their names."""
    found = {}
    for _, entry in _lines(log):
        event, model = (entry.get("event"), entry.get("model")) if entry else (None, None)
        if event == _MISSING:
            found[str(model)] = LoadProblem(kind="missing")
        elif entry and event in (_LOAD_FAILED, _LOAD_REFUSED):
            kind = entry.get("kind")
            cause = _telling(str(entry.get("cause") or ""))
            found[str(model)] = LoadProblem(cause, str(kind) if kind else None)
    return found


def _telling(cause: str) -> str | None:
    """Give the line that says why: OpenVINO begins with where in its source it failed."""
    lines = [line.strip() for line in cause.splitlines() if line.strip()]
    telling = [line for line in lines if _OPENVINO_PLACE not in line] or lines
    return _shortened(telling[0]) if telling else None


def last_problems(log: Path) -> list[str]:
    """Give the last lines that are warnings or worse, or that no logger wrote."""
    shown: deque[str] = deque(maxlen=_LINES)
    for line, entry in _lines(log):
        if entry is None:
            if line.strip():
                shown.append(_shortened(line))
        elif entry.get("level") not in _QUIET_LEVELS:
            shown.append(_shortened(_readable(entry)))
    return list(shown)


def _lines(log: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Give each line, and what it holds if it is a logger's."""
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            entry = None
            if line.startswith("{"):
                try:
                    entry = json.loads(line)
                except ValueError:
                    entry = None
            yield line.rstrip(), entry


def _readable(entry: dict[str, Any]) -> str:
    """Write a logger's line for people; of a text with several lines the last says most."""
    values = {name: str(value).strip() for name, value in entry.items() if name not in _NOT_SHOWN}
    told = "".join(
        f" {name}={value.splitlines()[-1] if value else value}" for name, value in values.items()
    )
    return f"{entry.get('level', '')} {entry.get('event', '')}{told}".strip()


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
