"""What is known of processes, for tests that start and end them; and registries of real workers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from inference_service.config import ServiceConfig
from inference_service.domain import ModelState
from inference_service.models.registry import Registry


def _children() -> set[int]:
    children: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError):  # the thread has ended
            children.update(map(int, file.read_text().split()))
    return children


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


@pytest.fixture
def make_config(certs: Path, tmp_path: Path) -> Callable[..., ServiceConfig]:
    """Give a function that makes a service's configuration for the models in `tmp_path`."""

    def make(**settings: Any) -> ServiceConfig:
        return ServiceConfig(
            tls_cert=certs / "service.pem",
            tls_key=certs / "service-key.pem",
            tls_client_ca=certs / "ca.pem",
            models_dir=tmp_path,
            **settings,
        )

    return make


@pytest.fixture
async def make_registry(make_config: Callable[..., ServiceConfig]) -> AsyncIterator[Any]:
    """Give a function that starts a registry of `tmp_path`, which is stopped after the test.

    It gives the registry, and a list to which the names of models that change are added.
    """
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> tuple[Registry, list[str]]:
            changes: list[str] = []
            registry = Registry(make_config(**settings), changes.append)
            stack.push_async_callback(registry.stop)
            await registry.start()
            return registry, changes

        yield make


@pytest.fixture
def states() -> Callable[[Registry], dict[str, ModelState]]:
    """Give a function that tells the state of each model."""
    return lambda registry: {info.name: info.state for info in registry.snapshot()}
