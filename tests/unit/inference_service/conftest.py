"""What is known of processes, for tests that start and end them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def _children() -> set[int]:
    files = Path("/proc/self/task").glob("*/children")
    return {int(pid) for file in files for pid in file.read_text().split()}


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def new_children() -> Callable[[], set[int]]:
    """Give a function that tells the processes started since the test began that still exist."""
    before = _children()
    return lambda: _children() - before


@pytest.fixture
def is_gone() -> Callable[[int], bool]:
    """Give a function that tells whether a process has ended and was waited for."""
    return _is_gone
