"""Runs the tests of the openai package for Node against the shared server."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.contract.load import load_of

HERE = Path(__file__).parent
# How many tests each file has.
FILES = {
    file: len(re.findall(r"^test\(", file.read_text(encoding="utf-8"), re.MULTILINE))
    for file in sorted(HERE.glob("*.test.mjs"))
}
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None or not (HERE / "node_modules" / "openai").is_dir():
        pytest.fail("there is no node, or no openai package for it; `make test` installs both")
    return found


def test_there_are_tests() -> None:
    assert [file.name.partition(".")[0] for file in FILES] == ["chat", "errors", "responses"]
    assert all(FILES.values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
async def test_node(api: Any, node: str, file: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        node,
        "--test",
        "--test-reporter=tap",
        file,
        env=dict(os.environ) | api.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode()
    counts = dict(re.findall(r"^# (\w+) (\d+)$", said, re.MULTILINE))
    assert process.returncode == 0, said
    assert (counts["pass"], counts["skipped"]) == (str(FILES[file]), "0"), said
    # The aborted answers would have taken over a minute.
    async with load_of(api.env) as load:
        await load.none(api.slow)
