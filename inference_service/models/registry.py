"""The models of this server: which take requests, and how they come to and cease to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import structlog

from inference_service.config import ServiceConfig
from inference_service.domain import (
    MemoryStatus,
    ModelInfo,
    ModelKind,
    ModelState,
    PullProgress,
    PullRequest,
    ReplicaStatus,
    WatchEvent,
)
from inference_service.errors import ModelInUse, ModelNotFound
from inference_service.models.catalogue import Catalogue
from inference_service.models.idle import Reaper, evictable, one_ended
from inference_service.models.loading import ModelLoader
from inference_service.models.memory import MemoryBudget
from inference_service.models.pulls import Pulls
from inference_service.models.repository import ModelEntry
from inference_service.models.required import RequiredModels
from inference_service.models.slot import Slot
from inference_service.models.targets import Target, Targets
from inference_service.models.watching import Watchers

_MEASURE_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Registry:
    """All models in the models' folders.

    Args:
        config: The service's configuration.
        on_change: Called with a model's full name after every change of what can be seen of it.

    """

    def __init__(self, config: ServiceConfig, on_change: Callable[[str], None]) -> None:
        self._config = config
        self._on_change = on_change
        self._catalogue = Catalogue(config, self._new_slot, self._changed)
        self._watchers = Watchers(self._catalogue.info)
        slots = self._catalogue.slots.values
        self._memory = MemoryBudget(
            config.memory_budget_bytes, lambda: evictable(slots()), lambda: one_ended(slots())
        )
        self._reaper = Reaper(slots, config.idle_unload_seconds)
        self._loader = ModelLoader(
            config,
            self._memory,
            self._catalogue.look,
            self._find_entry,
            self._loaded,
            lambda slot: self._required.discard(slot),
            self._reaper.look_at,
        )
        self._targets = Targets(self._catalogue, config.load_on_request, self._reaper.look_at)
        self._pulls = Pulls(config, self._pulled)
        self._required = RequiredModels(self._catalogue)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look at the models' folders and begin to load what the configuration names."""
        await self._catalogue.look()
        self._required.begin(self._config.load_models)
        self._tasks = [
            asyncio.create_task(self._reaper.run(), name="idle-models"),
            asyncio.create_task(self._measure(), name="models-memory"),
        ]

    async def stop(self) -> None:
        """End pulls, loads and every worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pulls.stop()
        await asyncio.gather(*(slot.stop() for slot in self._catalogue.slots.values()))

    # --- requests --------------------------------------------------------------------------

    async def acquire(self, name: str, rpc: str, *kinds: ModelKind) -> Target:
        """Return what a request goes to; see `Targets.acquire`."""
        return await self._targets.acquire(name, rpc, *kinds)

    # --- what there is ---------------------------------------------------------------------

    async def infos(self) -> list[ModelInfo]:
        """Look at the disk, and return all models, sorted by name."""
        await self._catalogue.look()
        return self.snapshot()

    async def info(self, name: str) -> ModelInfo:
        """Return the model that a name stands for.

        Raises:
            ModelNotFound: There is none of that name.

        """
        slot, _ = await self._catalogue.get(name, exact=True)
        return self._info(slot)

    def snapshot(self) -> list[ModelInfo]:
        """Return all models that are known, sorted by name, without a look at the disk."""
        return [self._info(slot) for _, slot in sorted(self._catalogue.slots.items())]

    def state(self, name: str) -> ModelState | None:
        """Return the state of the model of a full name; `None` if there is none."""
        slot = self._catalogue.slots.get(name)
        return slot.state if slot else None

    def watch(self, names: frozenset[str]) -> AsyncGenerator[WatchEvent, None]:
        """Yield models as they are, then each change; see `Watchers.watch`."""
        return self._watchers.watch(names, list(self._catalogue.slots))

    def replicas(self) -> list[ReplicaStatus]:
        """Return the state of every engine worker, by model name."""
        return [
            status
            for _, slot in sorted(self._catalogue.slots.items())
            for model in slot.models
            for status in model.replicas.statuses()
        ]

    def memory(self) -> MemoryStatus:
        """Return what the memory of all workers adds up to."""
        return self._memory.status()

    @property
    def ready(self) -> bool:
        """Whether every model that is to be loaded at the start answers, or was unloaded since."""
        return self._required.ready

    # --- how it changes --------------------------------------------------------------------

    async def load(
        self, name: str, *, reload: bool = False, pinned: bool | None = None, detach: bool = False
    ) -> AsyncGenerator[ModelInfo, None]:
        """Load a model, and yield it after each change, until it takes requests.

        Closing the iterator is to wait no longer; the load is cancelled when nobody waits for it
        any more and nobody has asked to detach it.

        Args:
            name: Which.
            reload: Whether one that takes requests is loaded anew.
            pinned: Whether it stays loaded; `None` is as it was, at first as its settings say.
            detach: Whether the load goes on when nobody waits for it.

        Raises:
            ModelNotFound: There is none of that name.
            ModelLoadFailed, MemoryExhausted, LoadCancelled: See `Slot.load`.

        """
        await self._catalogue.look()
        slot, _ = await self._catalogue.get(name, exact=True)
        if pinned is not None:
            slot.pinned = pinned
            self._reaper.look_at(slot)
        if slot.serving and slot.state is ModelState.READY and not reload:
            slot.changed()
            yield self._info(slot)
            return
        load = slot.load(detach=detach, reload=reload)
        async with aclosing(self._watchers.until(slot.name, load)) as changes:
            async for info in changes:
                if reload or info.state is not ModelState.READY:  # that is the last
                    yield info
        yield self._info(slot)

    async def unload(self, name: str, *, drain_seconds: float | None = None) -> ModelInfo:
        """Let a model's running requests end, then unload it; a load that runs is cancelled.

        Args:
            name: Which.
            drain_seconds: Time that its requests have; `None` is the server's.

        Raises:
            ModelNotFound: There is none of that name.

        """
        slot, _ = await self._catalogue.get(name, exact=True)
        self._required.discard(slot)
        slot.pinned = None
        await slot.unload(drain_seconds)
        slot.changed()  # perhaps in nothing but that the server is well without it
        return self._info(slot)

    async def delete(self, name: str, *, unload: bool = False) -> None:
        """Delete a model from the disk.

        Args:
            name: Its full name.
            unload: Whether one that is loaded is unloaded first.

        Raises:
            ModelNotFound: There is none of that full name.
            ModelInUse: It is loaded, needed by another, or in a read-only folder.

        """
        await self._catalogue.look()
        slot = self._catalogue.slots.get(name)
        if slot is None:
            raise ModelNotFound(name)
        if slot.entry.read_only:
            raise ModelInUse(name, "it is in a folder that the server doesn't write to")
        if user := self._catalogue.user_of(slot):
            raise ModelInUse(name, f"model {user!r} needs it")
        if not slot.unused:
            if not unload:
                raise ModelInUse(name, f"it is {slot.state.value}; unload it first")
            await self.unload(name)
        if not slot.unused or slot.leaving:
            raise ModelInUse(name, f"it is {slot.state.value} again, or being deleted")
        slot.leaving = True
        # Not cancelled with the caller: the thread would go on all the same.
        await asyncio.shield(asyncio.create_task(self._delete(slot)))

    def pull(self, request: PullRequest) -> AsyncGenerator[PullProgress | ModelInfo, None]:
        """Fetch a model into the repository; see `Pulls.pull`."""
        return self._pulls.pull(request)

    # --- the inside ------------------------------------------------------------------------

    def _new_slot(self, entry: ModelEntry) -> Slot:
        return Slot(entry, self._loader, self._changed, self._config.drain_timeout_seconds)

    async def _delete(self, slot: Slot) -> None:
        try:
            await self._catalogue.delete(slot.entry)
            self._required.discard(slot)
            await self._catalogue.look()
        finally:
            slot.leaving = False  # it is gone, or couldn't be deleted, or another has its name

    def _changed(self, name: str) -> None:
        if slot := self._catalogue.slots.get(name):
            self._reaper.look_at(slot)  # its worker may be back that was lost
        self._watchers.changed(name)
        self._on_change(name)

    def _info(self, slot: Slot) -> ModelInfo:
        info = self._catalogue.info(slot.name)
        if info is None:
            raise ModelNotFound(slot.name)
        return info

    def _loaded(self, slot: Slot) -> None:
        """Let what an older version served end, where only the latest is served."""
        self._required.found(slot)
        served = self._catalogue.served(slot.entry.base)
        if slot.name not in served:
            return
        for other in self._catalogue.siblings(slot):
            if other.name in served or (other.serving and other.stays):
                continue
            self._required.replace(other, slot)
            if other.serving:
                _log.info("model.superseded", model=other.name, by=slot.name)
                other.retire()

    def _find_entry(self, name: str) -> ModelEntry | None:
        found = self._catalogue.find(name)
        return found[0].entry if found else None

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(_MEASURE_SECONDS)
            try:
                await self._memory.measure()
            except Exception:  # noqa: BLE001  such as no thread to be had; there is a next time
                _log.exception("memory.not_measured")

    async def _pulled(self, name: str) -> ModelInfo:
        await self._catalogue.look()
        return await self.info(name)
