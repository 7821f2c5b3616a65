"""One replica of a model: keeps an engine worker running, and says what state it is in."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from inference_service.domain import ModelState, ReplicaStatus
from inference_service.engine import frames
from inference_service.engine.process import LoadError, LoadRefusedError
from inference_service.engine.worker import Worker
from inference_service.errors import ModelNotReady

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a worker that was lost is started again.

    Attributes:
        first_delay_seconds: Wait before the first restart; each further one waits twice as long.
        longest_delay_seconds: The longest wait.
        healthy_seconds: A worker that lived this long resets the wait.
        first_load_attempts: Loads that may fail before the first that succeeds.

    """

    first_delay_seconds: float = 0.2
    longest_delay_seconds: float = 30.0
    healthy_seconds: float = 60.0
    first_load_attempts: int = 3


class Replica:
    """Supervises the workers of one replica, one after another.

    A worker that dies, or makes no progress while it owes some, is replaced. A model is given up
    when a worker says that it can't be loaded, for the same files fail the same way, or when no
    worker ever came as far as to answer; after that it is not tried again.

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
        self.failure: str | None = None

    def start(self) -> None:
        """Begin to load the model; `state` tells how it goes."""
        self._set(ModelState.LOADING)
        self._task = asyncio.create_task(self._supervise(), name=f"replica-{self._model}")

    async def stop(self) -> None:
        """End the worker and wait until its process is gone."""
        if self._task:
            self._set(ModelState.DRAINING)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._set(ModelState.UNLOADED)

    def worker(self) -> Worker:
        """Return the worker that takes requests now.

        Raises:
            ModelNotReady: There is none.

        """
        worker = self._worker
        if worker is None or worker.lost.done() or self.state is not ModelState.READY:
            raise ModelNotReady(self._model, self.state.value)
        return worker

    def status(self) -> ReplicaStatus:
        """Return what the outside may know of the worker."""
        worker = self._worker
        progress = worker.progress if worker else frames.Progress(0, 0, 0.0)
        last_step = worker.last_step if worker else None
        return ReplicaStatus(
            model=self._model,
            replica=self._index,
            state=self.state,
            pid=worker.pid if worker else None,
            outstanding_requests=worker.outstanding if worker else 0,
            steps=progress.steps,
            generated_tokens=progress.generated_tokens,
            last_step_age_seconds=time.monotonic() - last_step if last_step else None,
            kv_cache_usage=progress.kv_cache_usage,
            restarts=self._restarts,
        )

    async def _supervise(self) -> None:
        delay = self._policy.first_delay_seconds
        failed_loads = 0
        while True:
            started = time.monotonic()
            try:
                await self._run_worker()
            except LoadError as error:
                self.failure = str(error)
                self._log.error("model.load_failed", cause=self.failure)
                failed_loads += 1
                hopeless = isinstance(error, LoadRefusedError) or (
                    failed_loads >= self._policy.first_load_attempts
                )
                if not self._has_been_ready and hopeless:
                    self._set(ModelState.FAILED)
                    return
            except Exception:  # noqa: BLE001  logged, and told in the state
                self._log.exception("replica.failed")
                self.failure = "the worker could not be supervised; the log has the cause"
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
            await self._watch(worker)
        finally:
            self._worker = None
            if self.state is ModelState.READY:
                self._set(ModelState.LOADING)
            await worker.stop()
        self._log.error("worker.lost", pid=worker.pid)

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
