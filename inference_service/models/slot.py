"""One model of the repository, and what runs of it: loaded once, however many ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from inference_service.domain import LoadFailure, LoadFailureCause, ModelState
from inference_service.engine.failure import LoadError
from inference_service.errors import (
    MemoryExhausted,
    ModelLoadFailed,
    ModelNotFound,
)
from inference_service.models.draining import Draining
from inference_service.models.loaded import LoadedModel
from inference_service.models.problems import Backoff, LoadProblem
from inference_service.models.repository import ModelEntry
from inference_service.models.shared_load import SharedLoad

_log = structlog.get_logger(__name__)


class Loader(Protocol):
    """What brings a model to run, and to its end."""

    async def load(self, slot: Slot) -> LoadedModel:
        """Load what is on disk now, and return it when it is ready.

        Raises:
            LoadProblem: It can't be loaded.
            MemoryExhausted: There is no room for it.

        """

    def loaded(self, slot: Slot) -> None:
        """Take note that a model takes requests from now on."""

    def retired(self, slot: Slot) -> None:
        """Take note that a model takes no more requests, because that is wanted."""

    async def end(self, model: LoadedModel) -> None:
        """End a model's processes."""


class Slot:
    """A model, whatever its state.

    Args:
        entry: What is on disk.
        loader: Loads it.
        on_change: Called with the name after each change of what can be seen.
        drain_seconds: Time that running requests have to end, where none is asked for.

    Attributes:
        name: Its full name.
        entry: What is on disk, as seen last.
        serving: What takes requests, if anything does.
        failure: Why the last load failed.
        stage: What a load does now.
        pinned: Whether it stays loaded; `None` is as the settings say.
        leaving: Whether it is being deleted; then it can't be loaded.
        gone: Whether it is no longer among the models; then it can't be loaded either, for nobody
            would end it.
        claims: Requests that wait to use it; until they do, it is not idle.

    """

    def __init__(
        self,
        entry: ModelEntry,
        loader: Loader,
        on_change: Callable[[str], None],
        drain_seconds: float,
    ) -> None:
        self.name = entry.name
        self.entry = entry
        self.serving: LoadedModel | None = None
        self.failure: LoadFailure | None = None
        self.stage: str | None = None
        self.pinned: bool | None = None
        self.leaving = False
        self.gone = False
        self.claims = 0
        self._loader = loader
        self._on_change = on_change
        self._drain_seconds = drain_seconds
        # Loads that have not ended: the last is what callers wait for, if it isn't to end; those
        # before it were cancelled, and undo what they had done.
        self._loads: list[SharedLoad] = []
        self._draining = Draining(entry.name, loader.end, self.changed)
        self._backoff = Backoff()

    @property
    def state(self) -> ModelState:
        """Whether it can answer."""
        if self.serving:
            return self.serving.replicas.state
        if self._loads:
            return ModelState.LOADING
        if self._draining:
            return ModelState.DRAINING
        if self.failure or self.entry.problem:
            return ModelState.FAILED
        return ModelState.UNLOADED

    @property
    def unused(self) -> bool:
        """Whether nothing runs of it, or is about to."""
        return not (self.serving or self._loads or self._draining)

    @property
    def idle(self) -> bool:
        """Whether it takes requests, and has none."""
        return (
            self.serving is not None
            and self.state is ModelState.READY
            and not (self.claims or self.serving.busy)
        )

    @property
    def draining(self) -> bool:
        """Whether something of it ends its requests."""
        return bool(self._draining)

    @property
    def stays(self) -> bool:
        """Whether it is pinned."""
        if self.pinned is not None:
            return self.pinned
        settings = self.serving.folder.settings if self.serving else self.entry.settings
        return bool(settings and settings.pinned)

    @property
    def models(self) -> list[LoadedModel]:
        """All that runs of it: what takes requests, then what ends its own."""
        return [*([self.serving] if self.serving else []), *self._draining.models]

    def changed(self) -> None:
        """Tell that something about it is not as it was."""
        self._on_change(self.name)

    def set_stage(self, stage: str) -> None:
        """Say what a load does now."""
        self.stage = stage
        self.changed()

    def require_retry(self) -> None:
        """Check that a load that nobody asked for by name makes sense now.

        Raises:
            ModelLoadFailed: The last one failed, for good or not long ago.

        """
        if self.failure and not self._backoff.over(self.failure):
            raise ModelLoadFailed(self.name, self.failure.cause.value)

    async def load(self, *, detach: bool, reload: bool = False) -> None:
        """Load the model, or wait for the load that runs; when it returns the model takes requests.

        A load that is not detached is cancelled when the last that waits for it is.

        Args:
            detach: Whether the load goes on when nobody waits for it.
            reload: Whether to load it anew where it is loaded.

        Raises:
            ModelLoadFailed: It could not be loaded.
            MemoryExhausted: There is no room for it.
            LoadCancelled: It was unloaded meanwhile.
            ModelNotFound: It is being deleted, or gone.

        """
        failed = self.state is ModelState.FAILED  # for good, which a load by request ends
        if self.serving and not (reload or failed or self._loads):
            try:
                await self.serving.replicas.loaded()
            except LoadError as error:
                raise ModelLoadFailed(self.name, error.cause.value, str(error)) from error
            return
        await self.begin_load(detach=detach).wait()

    def begin_load(self, *, detach: bool) -> SharedLoad:
        """Begin a load if none runs, and return the one that does.

        Raises:
            ModelNotFound: It is being deleted, or gone.

        """
        if self.leaving or self.gone:
            raise ModelNotFound(self.name)
        load = self._loads[-1] if self._loads else None
        if load is None or load.ending:
            load = SharedLoad(self.name, self._run_load(tuple(self._loads)), self._load_ended)
            self._loads.append(load)
            self.failure = None
            self.stage = "waiting"
            self.changed()
        load.detached |= detach
        return load

    async def unload(self, drain_seconds: float | None = None) -> None:
        """Cancel a load that runs, let running requests end, end the workers.

        Args:
            drain_seconds: Time that running requests have, also those that were to end already.

        """
        for load in reversed(tuple(self._loads)):  # all but the last are cancelled already
            await load.cancel()
        if drain_seconds is not None:
            self._draining.hasten(drain_seconds)
        self.retire(drain_seconds)
        await self._draining.ended()

    def retire(self, drain_seconds: float | None = None) -> None:
        """Take no more requests, and end when those that run have."""
        if model := self.serving:
            self.serving = None
            self._drain(model, drain_seconds)
            self._loader.retired(self)
            self.changed()

    async def settled(self) -> None:
        """Wait until nothing of it ends its requests any more."""
        await self._draining.ended()

    @property
    def model(self) -> LoadedModel:
        """What takes requests; there must be something."""
        assert self.serving is not None, "only a loaded model has a running side"
        return self.serving

    async def evict(self) -> None:
        """Unload it if it is idle; see `Evictable`."""
        if self.idle and not self.stays:
            _log.info("model.evicted", model=self.name)
            model = self.serving
            self.retire()
            await self._draining.ended(model)  # of what it was before, requests may still run

    async def stop(self) -> None:
        """End all that runs of it, at once."""
        await self.unload(0)

    async def _run_load(self, before: Sequence[SharedLoad]) -> None:
        try:
            for cancelled in before:
                await cancelled.cancel()
            model = await self._loader.load(self)
        except LoadProblem as problem:
            self._failed(problem.failure)
            failure = problem.failure
            raise ModelLoadFailed(self.name, failure.cause.value, failure.message) from problem
        except MemoryExhausted as refused:
            _log.warning("model.load_refused", model=self.name, cause=str(refused))
            raise
        except Exception:  # logged with all that is known of it where the task ends
            why = "the load broke; the log has the cause"
            self._failed(LoadFailure(LoadFailureCause.WORKER_DIED, why))
            raise
        else:
            self._backoff = Backoff()
            old, self.serving = self.serving, model
            if old:
                self._drain(old, None)
            self._loader.loaded(self)

    def _load_ended(self, load: SharedLoad) -> None:
        self._loads.remove(load)
        if not self._loads:
            self.stage = None
        self.changed()

    def _failed(self, failure: LoadFailure) -> None:
        _log.error(
            "model.load_failed", model=self.name, cause=failure.message, kind=failure.cause.value
        )
        self.failure = failure
        self._backoff.failed()

    def _drain(self, model: LoadedModel, drain_seconds: float | None) -> None:
        self._draining.begin(model, self._drain_seconds if drain_seconds is None else drain_seconds)
