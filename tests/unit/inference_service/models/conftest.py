"""A slot with a loader that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from inference_service.engine.settings import ModelSettings
from inference_service.models.slot import Slot
from tests.unit.inference_service.models.stand_ins import Loader


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def slot(loader: Loader) -> Slot:
    entry: Any = SimpleNamespace(name="m", problem=None, settings=ModelSettings())
    return Slot(entry, loader, lambda name: None, drain_seconds=10)


@pytest.fixture
def begin(slot: Slot) -> Callable[..., asyncio.Task[None]]:
    def start(**how: Any) -> asyncio.Task[None]:
        return asyncio.create_task(slot.load(**({"detach": False} | how)))

    return start
