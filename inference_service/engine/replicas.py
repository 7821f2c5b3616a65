"""The workers of one loaded model: one state, and for each request the worker that takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from inference_service.domain import LoadFailure, ModelState, ReplicaStatus
from inference_service.engine import frames
from inference_service.engine.failure import LoadError
from inference_service.engine.replica import Replica, RestartPolicy
from inference_service.engine.router import Prompt, Router
from inference_service.engine.worker import Worker
from inference_service.errors import LoadCancelled, ModelNotReady


class Replicas:
    """Replicas of one model, as one.

    The first loads alone, so that it takes requests as soon as can be; then the others load, all at
    the same time. If the first can't be loaded the others aren't tried, for they have the same
    files and settings. Whoever starts them awaits `stop`.

    Args:
        model: The model's name.
        loads: What the worker of each replica is told to load; at least one.
        start_timeout_seconds: Time that a worker has to load.
        step_timeout_seconds: Time without progress after which a busy worker is ended.
        on_change: Called after every change of `state` or `ready`.
        policy: When to restart.
        prefix_affinity: Whether requests go to where their prefix is cached; see `Router`.

    """

    def __init__(
        self,
        model: str,
        loads: Sequence[frames.Load],
        *,
        start_timeout_seconds: float,
        step_timeout_seconds: float,
        on_change: Callable[[], None],
        policy: RestartPolicy | None = None,
        prefix_affinity: bool = True,
    ) -> None:
        self._model = model
        self._on_change = on_change
        self._replicas = [
            Replica(
                model,
                index,
                load,
                start_timeout_seconds=start_timeout_seconds,
                step_timeout_seconds=step_timeout_seconds,
                on_change=lambda index=index: self._changed(index),  # type: ignore[misc]
                policy=policy,
            )
            for index, load in enumerate(loads)
        ]
        cached = prefix_affinity and loads[0].settings.enable_prefix_caching is not False
        self._router = Router(len(loads), prefix_affinity=cached)
        self._stopping = False
        self._others_started = False
        self._change = asyncio.Event()
        self._told: tuple[ModelState, int] = (ModelState.UNLOADED, 0)

    def start(self) -> None:
        """Begin to load the model; `state` tells how it goes, and `loaded` waits for it."""
        self._replicas[0].start()

    async def stop(self) -> None:
        """End all workers and wait until their processes are gone; a load is ended at once."""
        self._stopping = True
        self._others_started = False
        try:
            await asyncio.gather(*(replica.stop() for replica in self._replicas))
        finally:
            self._stopping = False
            self._tell()

    async def loaded(self) -> None:
        """Wait until a worker is ready.

        Raises:
            LoadError: The model could not be loaded, and will not be tried again.
            LoadCancelled: They were stopped.

        """
        while not self.ready:
            if self.state not in (ModelState.LOADING, ModelState.FAILED):
                raise LoadCancelled(self._model)
            if self.state is ModelState.FAILED and self.failure:
                raise LoadError(self.failure.message, self.failure.cause)
            await self._change.wait()

    @property
    def state(self) -> ModelState:
        """Ready if any replica is, and loading if none is and any still may be."""
        states = {replica.state for replica in self._replicas}
        if self._stopping:
            return ModelState.DRAINING
        for state in (ModelState.READY, ModelState.LOADING, ModelState.DRAINING, ModelState.FAILED):
            if state in states:
                return state
        return ModelState.UNLOADED

    @property
    def ready(self) -> int:
        """Workers that answer now."""
        return 0 if self._stopping else len(self._outstanding())

    @property
    def failure(self) -> LoadFailure | None:
        """Why the last load of a replica failed, the first that has failed; `None` if none has."""
        return next((r.failure for r in self._replicas if r.failure), None)

    def worker(self) -> Worker:
        """Return the worker with the least outstanding.

        Raises:
            ModelNotReady: None takes requests now.

        """
        return self._replicas[self._router.least_busy(self._ready_outstanding())].worker()

    def route(self, prompt: Prompt, adapter: str | None) -> Worker:
        """Return the worker that is to take a prompt, by load and by what is cached.

        Call it right before the request is submitted: what is on its way is not counted.

        Args:
            prompt: Text, or token ids.
            adapter: What the model is adapted by.

        Raises:
            ModelNotReady: None takes requests now.

        """
        chosen = self._router.route(self._ready_outstanding(), prompt, adapter)
        return self._replicas[chosen].worker()

    @property
    def outstanding(self) -> int:
        """Requests that the workers work on or hold back."""
        return sum(replica.outstanding for replica in self._replicas)

    @property
    def outstanding_completions(self) -> int:
        """Completions that those requests still wait for; any other answer counts as one."""
        return sum(replica.outstanding_completions for replica in self._replicas)

    async def idle(self) -> None:
        """Wait until nothing is outstanding on any worker."""
        while self.outstanding:
            for replica in self._replicas:
                await replica.idle()

    def pids(self) -> list[int]:
        """Return the process ids of the workers that have loaded, also of those that end."""
        return [pid for replica in self._replicas if (pid := replica.pid) is not None]

    async def measure_memory(self) -> int:
        """Measure the memory of all workers, for `statuses` too, and return its sum in bytes."""
        return sum([await replica.measure_memory() for replica in self._replicas])

    def statuses(self) -> list[ReplicaStatus]:
        """Return what the outside may know of each worker."""
        return [replica.status() for replica in self._replicas]

    def _outstanding(self) -> dict[int, int]:
        return {
            index: replica.outstanding_completions
            for index, replica in enumerate(self._replicas)
            if replica.ready
        }

    def _ready_outstanding(self) -> dict[int, int]:
        """Return the load of the replicas that take requests.

        Raises:
            ModelNotReady: There is none.

        """
        outstanding = {} if self._stopping else self._outstanding()
        if not outstanding:
            lost = self.state is ModelState.READY  # and about to be replaced
            raise ModelNotReady(self._model, (ModelState.LOADING if lost else self.state).value)
        return outstanding

    def _changed(self, index: int) -> None:
        if self._replicas[index].state is not ModelState.READY:
            self._router.forget(index)
        elif not self._others_started and not self._stopping:
            self._others_started = True
            for replica in self._replicas[1:]:
                replica.start()
        self._tell()

    def _tell(self) -> None:
        now = (self.state, self.ready)
        if now == self._told:
            return
        self._told = now
        self._change.set()
        self._change = asyncio.Event()
        self._on_change()
