"""One replica of a model: keeps an engine worker running, and says what state it is in."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from inference_service.domain import LoadFailure, LoadFailureCause, ModelState, ReplicaStatus
from inference_service.engine import frames
from inference_service.engine.failure import LoadError
from inference_service.engine.memory import process_memory
from inference_service.engine.worker import Worker
from inference_service.errors import ModelNotReady

# What may be otherwise the next time. All else is in the files, the settings or the machine.
_PASSING = frozenset({LoadFailureCause.WORKER_DIED, LoadFailureCause.TIMEOUT})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a worker that was lost is started again.

    Attributes:
        first_delay_seconds: Wait before the first restart; each further one waits twice as long.
        longest_delay_seconds: The longest wait.
        healthy_seconds: A worker that lived this long resets the wait.
        first_load_attempts: Loads that may die or time out before the first that succeeds.

    """

    first_delay_seconds: float = 0.2
    longest_delay_seconds: float = 30.0
    healthy_seconds: float = 60.0
    first_load_attempts: int = 3


class Replica:
    """Supervises the workers of one replica, one after another.

    A worker that dies, or makes no progress while it owes some, is replaced. Before the first that
    came as far as to answer, a load is tried again only if it died or took too long, and not for
    ever: the same files and settings fail the same way, and so does memory that is too little.

    Attributes:
        state: Whether it can answer.
        failure: Why the last load failed; `None` once one succeeds.

    Args:
        model: The model's name.
        index: Which of the model's replicas, from 0.
        load: What a worker is told to load.
        start_timeout_seconds: Time that a worker has to load.
        step_timeout_seconds: Time without progress after which a busy worker is ended.
        on_change: Called after every change of `state`.
        policy: When to restart.

    """

    def __init__(
        self,
        model: str,
        index: int,
        load: frames.Load,
        *,
        start_timeout_seconds: float,
        step_timeout_seconds: float,
        on_change: Callable[[], None],
        policy: RestartPolicy | None = None,
    ) -> None:
        self._model = model
        self._index = index
        self._load = load
        self._start_timeout_seconds = start_timeout_seconds
        self._step_timeout_seconds = step_timeout_seconds
        self._on_change = on_change
        self._policy = policy or RestartPolicy()
        self._log = _log.bind(model=model, replica=index)
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._restarts = 0
        self._has_been_ready = False
        self.state = ModelState.UNLOADED
        self._memory_bytes: int | None = None
        self.failure: LoadFailure | None = None

    def start(self) -> None:
        """Begin to load the model; `state` tells how it goes."""
        self._set(ModelState.LOADING)
        self._task = asyncio.create_task(self._supervise(), name=f"replica-{self._model}")

    async def stop(self) -> None:
        """End the worker and wait until its process is gone."""
        if self._task:
            self._set(ModelState.DRAINING)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._set(ModelState.UNLOADED)

    @property
    def ready(self) -> bool:
        """Whether a worker takes requests now."""
        worker = self._worker
        return worker is not None and not worker.lost.done() and self.state is ModelState.READY

    @property
    def pid(self) -> int | None:
        """The worker's process id, also while it ends; `None` while there is none that loaded."""
        return self._worker.pid if self._worker else None

    @property
    def outstanding(self) -> int:
        """See `Worker`; 0 without one."""
        return self._worker.outstanding if self._worker else 0

    @property
    def outstanding_completions(self) -> int:
        """See `Worker`; 0 without one."""
        return self._worker.outstanding_completions if self._worker else 0

    async def idle(self) -> None:
        """Wait until the worker owes nothing; at once if there is none."""
        if self._worker:
            await self._worker.idle()

    async def measure_memory(self) -> int:
        """Measure the worker's memory, for `status` too, and return it in bytes; 0 without one."""
        worker = self._worker
        memory_bytes = await asyncio.to_thread(process_memory, worker.pid) if worker else None
        if worker is self._worker:
            self._memory_bytes = memory_bytes
        return memory_bytes or 0

    def worker(self) -> Worker:
        """Return the worker that takes requests now.

        Raises:
            ModelNotReady: There is none.

        """
        if self._worker is None or not self.ready:
            lost = self.state is ModelState.READY  # and about to be replaced
            raise ModelNotReady(self._model, (ModelState.LOADING if lost else self.state).value)
        return self._worker

    def status(self) -> ReplicaStatus:
        """Return what the outside may know of the worker."""
        worker = self._worker
        progress = worker.progress if worker else frames.Progress(0, 0, 0.0)
        last_step = worker.last_step if worker else None
        return ReplicaStatus(
            model=self._model,
            replica=self._index,
            state=self.state,
            pid=self.pid,
            outstanding_requests=self.outstanding,
            steps=progress.steps,
            generated_tokens=progress.generated_tokens,
            last_step_age_seconds=time.monotonic() - last_step if last_step else None,
            kv_cache_usage=progress.kv_cache_usage,
            restarts=self._restarts,
            memory_bytes=self._memory_bytes,
        )

    async def _supervise(self) -> None:
        delay = self._policy.first_delay_seconds
        failed_loads = 0
        while True:
            started = time.monotonic()
            try:
                await self._run_worker()
            except LoadError as error:
                self.failure = error.failure
                self._log.error(
                    "model.load_failed", kind=error.cause.value, cause=error.failure.message
                )
                failed_loads += 1
                hopeless = (
                    error.cause not in _PASSING or failed_loads >= self._policy.first_load_attempts
                )
                if not self._has_been_ready and hopeless:
                    self._set(ModelState.FAILED)
                    return
            except Exception:  # noqa: BLE001  logged, and told in the state
                self._log.exception("replica.failed")
                self.failure = LoadFailure(
                    LoadFailureCause.WORKER_DIED,
                    "the worker could not be supervised; the log has the cause",
                )
                self._set(ModelState.FAILED)
                return
            if time.monotonic() - started > self._policy.healthy_seconds:
                delay = self._policy.first_delay_seconds
            self._restarts += 1
            self._log.warning("worker.restart", restarts=self._restarts, delay_seconds=delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._policy.longest_delay_seconds)

    async def _run_worker(self) -> None:
        """Run one worker until it is lost."""
        worker = await Worker.start(
            self._model, self._load, timeout_seconds=self._start_timeout_seconds
        )
        self._worker = worker
        self._has_been_ready = True
        self.failure = None
        self._set(ModelState.READY)
        try:
            await self.measure_memory()
            await self._watch(worker)
        finally:
            if self.state is ModelState.READY:
                self._set(ModelState.LOADING)
            try:
                await worker.stop()
            finally:
                self._worker = self._memory_bytes = None
        self._log.error("worker.lost", pid=worker.pid, signal=worker.exit_signal)

    async def _watch(self, worker: Worker) -> None:
        """Wait until the worker is lost; end one that makes no progress."""
        while True:
            wait = max(0.05, self._step_timeout_seconds - worker.silent_seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await asyncio.shield(worker.lost)
            if worker.lost.done():
                return
            if worker.silent_seconds >= self._step_timeout_seconds:
                self._log.error(
                    "worker.stuck", pid=worker.pid, silent_seconds=round(worker.silent_seconds, 1)
                )
                worker.kill()

    def _set(self, state: ModelState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change()
