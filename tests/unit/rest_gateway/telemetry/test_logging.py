import json
import subprocess
import sys

import pytest

# In a process of its own: logging is the process's.
PROGRAM = """
import logging, sys
import structlog
from rest_gateway.telemetry.logging import configure_logging
configure_logging("info", sys.argv[1])
log = structlog.get_logger("ours")
log.debug("unseen")
with structlog.contextvars.bound_contextvars(request_id="req_1"):
    log.info("said", number=1)
logging.getLogger("theirs").warning("theirs %s", "too")
logging.getLogger("uvicorn.error").info("unseen")
def fail(secret):
    raise RuntimeError("oops")
try:
    fail("hunter2")
except RuntimeError:
    log.exception("failed")
"""


def run(form: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True
    ).stdout


def test_json() -> None:
    said, theirs, failed = [json.loads(line) for line in run("json").splitlines()]
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "event": "said",
        "number": 1,
        "request_id": "req_1",
        "level": "info",
        "logger": "ours",
    }
    assert (theirs["event"], theirs["level"]) == ("theirs too", "warning")
    assert "RuntimeError: oops" in failed["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_hold_no_values(form: str) -> None:
    written = run(form)
    assert "oops" in written
    assert "unseen" not in written
    # The program's own text, which names it, is not in a file; so only a value could show it.
    assert "hunter2" not in written
