"""The memory that models may have together: what each is charged, and who makes room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog

from inference_service.domain import MemoryStatus, ModelKind
from inference_service.engine.settings import ModelSettings
from inference_service.errors import MemoryExhausted
from inference_service.models.loaded import LoadedModel
from inference_service.models.repository import ModelFolder

# What a worker needs beside weights and cache: the interpreter, OpenVINO, compiled kernels.
_WORKER_BYTES = 350 << 20
_FAKE_WORKER_BYTES = 40 << 20
# Weights are laid out anew when they are compiled, and some of both are there at once.
_PER_WEIGHTS = 1.3

_log = structlog.get_logger(__name__)


class Evictable(Protocol):
    """A model that may have to go."""

    @property
    def model(self) -> LoadedModel:
        """What runs of it."""

    async def evict(self) -> None:
        """Unload it, if it is still idle."""


def estimate(folder: ModelFolder, size_bytes: int) -> int:
    """Guess how many bytes of memory a model will have that was never loaded.

    Args:
        folder: The model.
        size_bytes: Bytes of its files.

    """
    settings = folder.settings
    if settings.engine == "fake":
        return settings.replicas * (_FAKE_WORKER_BYTES + settings.fake_memory_bytes)
    return settings.replicas * (_WORKER_BYTES + int(size_bytes * _PER_WEIGHTS)) + _growth(folder)


def _growth(folder: ModelFolder) -> int:
    """Return by how many bytes a model can grow after its load: its key-value caches fill."""
    if folder.kind is not ModelKind.GENERATION or folder.settings.engine == "fake":
        return 0
    return folder.settings.replicas * folder.settings.kv_cache_bytes


def charge(model: LoadedModel) -> int:
    """Return the bytes that a model takes of the budget: what it has, or can grow to by itself."""
    return max(model.memory_bytes, model.ready_memory_bytes + _growth(model.folder))


class MemoryBudget:
    """Keeps the memory of all models within a budget.

    Memory is that of the real processes. A load reserves what the same model had the last time, or
    a guess; when all its replicas are ready the reservation is replaced by what was measured.

    Args:
        budget_bytes: What all models may have; `None` is no limit.
        idle_models: Gives the models that may be unloaded now, the least recently used first:
            ready, neither busy nor pinned.
        settled: Returns when a model that ends its requests has ended, or at once if none does.

    """

    def __init__(
        self,
        budget_bytes: int | None,
        idle_models: Callable[[], Iterable[Evictable]],
        settled: Callable[[], Awaitable[bool]],
    ) -> None:
        self._budget = budget_bytes
        self._idle_models = idle_models
        self._settled = settled
        self._models: set[LoadedModel] = set()
        self._reserved: dict[object, int] = {}
        self._learned: dict[str, tuple[int, ModelSettings, int]] = {}
        # Models not all of whose replicas have been ready yet, with the bytes of their files.
        self._partial: dict[LoadedModel, int] = {}
        self._one_at_a_time = asyncio.Lock()

    def status(self) -> MemoryStatus:
        """Return what is known of the memory of all models."""
        used = sum(model.memory_bytes for model in self._models)
        return MemoryStatus(self._budget, used, self._committed() - used)

    def forget(self, model: LoadedModel) -> None:
        """Take a model out of the account: its processes have ended."""
        self._models.discard(model)
        self._partial.pop(model, None)

    async def reserve(self, key: object, folder: ModelFolder, size_bytes: int) -> None:
        """Set memory aside for a load, and unload idle models for it if need be.

        Args:
            key: Names the reservation, for `release`.
            folder: What is to be loaded.
            size_bytes: Bytes of its files.

        Raises:
            MemoryExhausted: There is not so much, and could not be made.

        """
        needed = estimate(folder, size_bytes)
        if learned := self._learned.get(folder.name):
            size_then, settings_then, bytes_then = learned
            if (size_then, settings_then) == (size_bytes, folder.settings):
                needed = bytes_then
        await self._make_room(folder.name, needed, key=key)

    def release(self, key: object) -> None:
        """Give a reservation up. Harmless if there is none."""
        self._reserved.pop(key, None)

    async def settle(self, key: object, model: LoadedModel, size_bytes: int) -> None:
        """Put what a model has, now that it is ready, in the place of its reservation.

        It counts until `forget`.

        Raises:
            MemoryExhausted: It has more than was reserved, and for that there is no room.

        """
        async with self._one_at_a_time:
            self._partial[model] = size_bytes
            await self._measure([model])
            if model in self._partial:  # its other replicas load, for which the reservation is too
                reserved = self._reserved.get(key, 0) - _growth(model.folder)
                model.ready_memory_bytes = max(model.memory_bytes, reserved)
            self.release(key)
            self._models.add(model)
        if self._budget is not None and self._committed() > self._budget:
            await self._make_room(model.folder.name, 0, spare=model)

    async def measure(self) -> None:
        """Measure all models; unload idle ones if together they have grown past the budget."""
        await self._measure(self._models)
        if self._budget is None or sum(m.memory_bytes for m in self._models) <= self._budget:
            return
        async with self._one_at_a_time:
            used = sum(model.memory_bytes for model in self._models)
            _log.warning("memory.over_budget", used_bytes=used, budget_bytes=self._budget)
            for idle in self._idle_models():
                if sum(model.memory_bytes for model in self._models) <= self._budget:
                    return
                await idle.evict()

    async def _make_room(
        self, name: str, needed: int, *, key: object = None, spare: LoadedModel | None = None
    ) -> None:
        """Unload idle models until there is room, and reserve it.

        Args:
            name: What it is for.
            needed: Bytes.
            key: Names the reservation; `None` makes none.
            spare: A model that has its memory already, and may stay if there is room for it.

        Raises:
            MemoryExhausted: All of them together are too little.

        """
        while True:
            async with self._one_at_a_time:
                refused = await self._evict_for(name, needed, spare)
                if refused is None:
                    if key is not None:
                        self._reserved[key] = needed
                    return
            # Not under the lock: it may take long, and others may need less.
            if not await self._settled():
                raise refused

    async def _evict_for(
        self, name: str, needed: int, spare: LoadedModel | None
    ) -> MemoryExhausted | None:
        """Unload idle models until there is room, or none and say why that would be in vain."""
        if self._budget is None:
            return None
        await self._measure(self._models)
        while (free := self._budget - self._committed()) < needed:
            idle = [idle for idle in self._idle_models() if idle.model is not spare]
            possible = free + sum(charge(one.model) for one in idle)
            if possible < needed:
                asked = needed if spare is None else charge(spare)
                left = possible if spare is None else possible + charge(spare)
                return MemoryExhausted(name, asked, max(0, left), self._budget)
            _log.info("memory.evict", model=idle[0].model.folder.name, for_model=name)
            await idle[0].evict()
        return None

    def _committed(self) -> int:
        return sum(map(charge, self._models)) + sum(self._reserved.values())

    async def _measure(self, models: Iterable[LoadedModel]) -> None:
        for model in list(models):
            settings = model.folder.settings
            whole = model.replicas.ready >= settings.replicas
            await model.measure_memory()
            if whole and (size_bytes := self._partial.pop(model, None)) is not None:
                model.ready_memory_bytes = model.memory_bytes
                self._learned[model.folder.name] = size_bytes, settings, charge(model)
