"""Pulls that callers ask the service for: each runs once however many ask, in its own process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import structlog

from inference_service.config import ServiceConfig
from inference_service.domain import ModelInfo, PullProgress, PullRequest
from inference_service.errors import Draining, ModelExists
from inference_service.models.pull_orders import ordered, service_error
from inference_service.models.sources import child, errors
from inference_service.models.sources.errors import PullError
from inference_service.models.sources.messages import PullOrder
from inference_service.models.sources.progress import Progress

_log = structlog.get_logger(__name__)


class _Flight:
    """A pull that runs, and those who wait for it.

    Attributes:
        order: What is pulled.
        task: Gives the model.
        callers: How many wait.
        ending: Whether it was cancelled.
        landed: Whether the model is there, so that it is too late to cancel.

    """

    task: asyncio.Task[ModelInfo]

    def __init__(self, order: PullOrder) -> None:
        self.order = order
        self.callers = 0
        self.ending = False
        self.landed = False
        self._progress: PullProgress | None = None
        self._changed = asyncio.Event()

    def tell(self, progress: Progress) -> None:
        """Take the progress; a caller that has not read the last one will not see it."""
        self._progress = PullProgress(
            progress.stage, progress.completed_bytes, progress.total_bytes
        )
        self._changed.set()
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Have the callers see that it has ended."""
        self._changed.set()

    async def progress(self) -> AsyncGenerator[PullProgress, None]:
        """Give the latest progress, and each later one that the reader is fast enough for."""
        told: PullProgress | None = None
        while not self.task.done():
            changed = self._changed
            if self._progress is not None and self._progress is not told:
                told = self._progress
                yield told
            else:
                await changed.wait()


class Pulls:
    """The pulls of this service.

    Args:
        config: Where models go, which sources are allowed, and whether there is a network.
        on_pulled: Called with the full name of a model that has appeared, before those who wait
            are told; gives what they are told.

    """

    def __init__(
        self, config: ServiceConfig, on_pulled: Callable[[str], Awaitable[ModelInfo]]
    ) -> None:
        self._config = config
        self._on_pulled = on_pulled
        self._flights: dict[str, _Flight] = {}
        self._stopping = False

    async def pull(self, request: PullRequest) -> AsyncGenerator[PullProgress | ModelInfo, None]:
        """Fetch a model, and give the progress; the last item is the model.

        Equal requests share one pull. It ends when nobody waits for it any more; closing the
        iterator is how a caller leaves, and returns when the pull has ended, if it was the last.

        Raises:
            InvalidArgument: The name, the source or something else asked for can't be.
            ModelExists: There is a model of that name, or another is being fetched under it.
            SourceNotAllowed: The configuration doesn't allow the source, or the source us.
            SourceNotFound: The source has no such model.
            SourceUnreachable: The source doesn't answer, or the service is offline.
            SourceRefused: What the source has can't be used.
            DiskFull: The disk has too little room.
            Draining: The service is shutting down.

        """
        # Links are followed to see whether a place on disk is allowed, which may take a while.
        order = await asyncio.to_thread(ordered, request, self._config)
        flight = await self._join(order)
        try:
            async with contextlib.aclosing(flight.progress()) as progress:
                async for step in progress:
                    yield step
            if flight.task.cancelled():
                raise Draining
            yield flight.task.result()
        finally:
            await self._leave(flight)

    async def stop(self) -> None:
        """End all pulls, and refuse new ones."""
        self._stopping = True
        flights = list(self._flights.values())
        for flight in flights:
            self._cancel(flight)
        await asyncio.gather(*(flight.task for flight in flights), return_exceptions=True)

    async def _join(self, order: PullOrder) -> _Flight:
        """Give the pull of what is ordered, which is begun if there is none."""
        while (flight := self._flights.get(order.name)) and not flight.task.done():
            if not flight.ending:
                if flight.order != order:
                    raise ModelExists(
                        order.name, f"a model {order.name!r} is being pulled from elsewhere now"
                    )
                flight.callers += 1
                return flight
            await asyncio.wait([flight.task])
        if self._stopping:
            raise Draining
        flight = self._flights[order.name] = _Flight(order)
        flight.callers = 1
        flight.task = asyncio.create_task(self._run(flight))
        flight.task.add_done_callback(lambda _: self._ended(flight))
        return flight

    def _ended(self, flight: _Flight) -> None:
        if not flight.task.cancelled():
            flight.task.exception()  # nobody may be left to ask for it
        if self._flights.get(flight.order.name) is flight:
            del self._flights[flight.order.name]
        flight.wake()

    async def _leave(self, flight: _Flight) -> None:
        flight.callers -= 1
        if flight.callers == 0 and not flight.task.done():
            self._cancel(flight)
            await asyncio.wait([flight.task])

    @staticmethod
    def _cancel(flight: _Flight) -> None:
        if not flight.landed:
            flight.ending = True
            flight.task.cancel()

    async def _run(self, flight: _Flight) -> ModelInfo:
        order = flight.order
        log = _log.bind(model=order.name, source=order.source)
        log.info("pull.started", revision=order.revision)
        try:
            await self._fetch(order, flight.tell)
            flight.landed = True
            model = await self._on_pulled(order.name)
        except PullError as error:
            log.warning("pull.failed", kind=type(error).__name__, error=str(error))
            raise service_error(error, order) from error
        except asyncio.CancelledError:
            log.info("pull.cancelled")
            raise
        log.info("pull.done")
        return model

    async def _fetch(self, order: PullOrder, on_progress: Callable[[Progress], None]) -> None:
        """Run the process; a model that appears just before its end counts, however it ends."""
        folder = Path(order.models_dir) / order.name
        if await asyncio.to_thread(folder.exists):
            raise errors.ModelExists(f"there is a model {order.name!r} already")
        try:
            await child.run(order, on_progress)
        except (asyncio.CancelledError, child.ProcessDied):
            if not await asyncio.to_thread(folder.is_dir):
                raise
            if task := asyncio.current_task():
                task.uncancel()
