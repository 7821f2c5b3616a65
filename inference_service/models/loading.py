"""Brings a model from the disk to where it takes requests, and ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from inference_service.config import ServiceConfig
from inference_service.domain import LoadFailure, LoadFailureCause
from inference_service.engine.failure import LoadError
from inference_service.models.loaded import LoadedModel
from inference_service.models.memory import MemoryBudget
from inference_service.models.problems import LoadProblem
from inference_service.models.repository import InvalidModel, ModelEntry, ModelFolder, folder_of
from inference_service.models.slot import Slot
from inference_service.models.sources.conversion import ConversionError, converted

CONVERTED = ".converted"
"""The folder in the models' folder that holds the IR of GGUF and ONNX files."""


class ModelLoader:
    """Loads models; see `Loader`.

    Args:
        config: The service's configuration.
        memory: What all models may have together.
        look: Looks at the disk, so that slots have the entries of now.
        find: Finds a model by the name in another's settings; `None` if there is none.
        on_loaded: Called with each slot that takes requests from now on.
        on_retired: Called with each slot that takes none any more, because that is wanted.
        on_used: Called with a slot when a request has ended.

    """

    def __init__(
        self,
        config: ServiceConfig,
        memory: MemoryBudget,
        look: Callable[[], Awaitable[None]],
        find: Callable[[str], ModelEntry | None],
        on_loaded: Callable[[Slot], None],
        on_retired: Callable[[Slot], None],
        on_used: Callable[[Slot], None],
    ) -> None:
        self._config = config
        self._memory = memory
        self._look = look
        self._find = find
        self.loaded = on_loaded
        self.retired = on_retired
        self._on_used = on_used

    async def load(self, slot: Slot) -> LoadedModel:
        """See `Loader`."""
        await self._look()
        try:
            folder = await self._folder(slot, slot.entry)
            draft = await self._draft(slot, folder)
            return await self._start(slot, folder, draft)
        except InvalidModel as error:
            raise LoadProblem(LoadFailure(error.cause, str(error))) from error
        except ConversionError as error:
            raise LoadProblem(LoadFailure(error.cause, str(error))) from error
        except LoadError as error:
            raise LoadProblem(LoadFailure(error.cause, str(error))) from error
        except OSError as error:  # of the machine: no file descriptor, thread or process to be had
            message = f"the system refused something: {error.strerror}"
            raise LoadProblem(LoadFailure(LoadFailureCause.WORKER_DIED, message)) from error

    async def end(self, model: LoadedModel) -> None:
        """See `Loader`. A caller that is cancelled meanwhile still waits for the end."""
        ending = asyncio.create_task(self._end(model), name=f"end-{model.folder.name}")
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait([ending])
            except asyncio.CancelledError as error:
                cancelled = error
        ending.result()
        if cancelled:
            raise cancelled

    async def _end(self, model: LoadedModel) -> None:
        try:
            await model.stop()
        finally:
            self._memory.forget(model)

    async def _folder(self, slot: Slot, entry: ModelEntry) -> ModelFolder:
        if entry.problem:
            raise LoadProblem(entry.problem)
        ir = None
        if entry.weights:
            cache = self._config.models_dir / CONVERTED
            ir = await converted(entry.weights, cache, slot.set_stage)
        return await asyncio.to_thread(folder_of, entry, ir)

    async def _draft(self, slot: Slot, folder: ModelFolder) -> Path | None:
        speculation = folder.settings.speculation
        if speculation is None or speculation.draft_model is None:
            return None
        entry = self._find(speculation.draft_model)
        if entry is None:
            problem = f"the draft model {speculation.draft_model!r} is not in the repository"
            raise InvalidModel(problem, LoadFailureCause.INVALID_SETTINGS)
        return (await self._folder(slot, entry)).path

    async def _start(self, slot: Slot, folder: ModelFolder, draft: Path | None) -> LoadedModel:
        size_bytes = slot.entry.size_bytes
        key = object()
        slot.set_stage("making room in memory")
        await self._memory.reserve(key, folder, size_bytes)
        try:
            model = LoadedModel(
                folder, self._config, slot.changed, lambda: self._on_used(slot), draft
            )
            try:
                slot.set_stage("starting")
                model.replicas.start()
                await model.replicas.loaded()
                await self._memory.settle(key, model, size_bytes)
            except BaseException:
                await self.end(model)
                raise
        finally:
            self._memory.release(key)
        model.last_use = time.monotonic()
        return model
