"""What the launcher and the README tell users to type works when it is pasted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.server import LocalServer
from tests.integration.conftest import MODEL

ROOT = Path(__file__).parents[2]
PLAIN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def test_the_printed_curl_command(server: LocalServer) -> None:
    (command,) = re.findall(r"^(\. .*?\}')$", server.greeting, re.DOTALL | re.MULTILINE)
    answer = subprocess.run(
        ["sh", "-c", command],
        env=PLAIN_ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    completion = json.loads(answer.stdout)
    assert completion["model"] == MODEL
    assert "Paris" in completion["choices"][0]["message"]["content"]


def test_the_readme_s_python_examples(server: LocalServer) -> None:
    """Run as they stand, in a process that has what `client.env` exports."""
    readme = (ROOT / "README.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        done = subprocess.run(
            [sys.executable, "-c", example],
            env={**PLAIN_ENVIRONMENT, **server.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
