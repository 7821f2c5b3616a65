"""What slots need of loads and loaded models, doing as a test says."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from inference_service.domain import ModelState
from inference_service.engine.settings import ModelSettings
from inference_service.models.loaded import LoadedModel
from inference_service.models.slot import Slot

UNLOADED, LOADING, READY = ModelState.UNLOADED, ModelState.LOADING, ModelState.READY


class Running:
    """What a slot needs of a loaded model."""

    def __init__(self) -> None:
        self.replicas = SimpleNamespace(state=READY, loaded=self._loaded)
        self.folder = SimpleNamespace(settings=ModelSettings())
        self.busy = False
        self._idle = asyncio.Event()

    async def _loaded(self) -> None:
        await asyncio.sleep(0)

    async def idle(self) -> None:
        if self.busy:
            await self._idle.wait()

    def free(self) -> None:
        self.busy = False
        self._idle.set()


class Loader:
    """Loads when told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self.problem: Exception | None = None
        self.unwound: asyncio.Event | None = None  # set: a cancelled load ends when this is
        self.ended: list[Running] = []
        self.took: list[str] = []
        self.left: list[str] = []

    async def load(self, slot: Slot) -> LoadedModel:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            if self.unwound:
                await self.unwound.wait()
            raise
        if self.problem:
            raise self.problem
        return cast("LoadedModel", Running())

    def loaded(self, slot: Slot) -> None:
        self.took.append(slot.name)

    def retired(self, slot: Slot) -> None:
        self.left.append(slot.name)

    async def end(self, model: LoadedModel) -> None:
        self.ended.append(cast("Running", model))


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def ready(slot: Slot, loader: Loader) -> Running:
    loader.go.set()
    await slot.load(detach=False)
    loader.go.clear()
    return cast("Running", slot.serving)
