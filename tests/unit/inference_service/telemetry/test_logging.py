from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from inference_service.telemetry.logging import configure_logging
configure_logging({level!r}, {style!r})
log = structlog.get_logger("x")
structlog.contextvars.bind_contextvars(request_id="r1")
log.debug("quiet")
log.info("plain", text="né", number=1)
logging.getLogger("a.library").warning("of a %s", "library")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def run(level: str, style: str) -> list[str]:
    """Log in a process of its own, as what is configured holds for the whole process."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level, style=style)],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_each_event_is_one_json_line() -> None:
    plain, library, failed = map(json.loads, run("info", "json"))
    assert plain.pop("timestamp").endswith("Z")
    assert plain == {
        "event": "plain",
        "level": "info",
        "text": "né",
        "number": 1,
        "request_id": "r1",
    }
    assert (library["event"], library["level"]) == ("of a library", "warning")
    assert failed["level"] == "error"
    assert "ZeroDivisionError" in failed["exception"]


def test_level_is_the_least_that_is_written() -> None:
    events = [json.loads(line)["event"] for line in run("error", "json")]
    assert events == ["failed"]
    assert json.loads(run("debug", "json")[0])["event"] == "quiet"


def test_console_is_for_people() -> None:
    first = run("info", "console")[0]
    assert "plain" in first
    assert "number=1" in first
    assert not first.startswith("{")
    assert "\x1b" not in first  # no colours where there is no terminal
