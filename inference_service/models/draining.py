"""What of a model takes no more requests, and ends when those that run have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from inference_service.models.loaded import LoadedModel

_log = structlog.get_logger(__name__)


class Draining:
    """The running sides of one model that end their requests.

    Args:
        name: The model's full name.
        end: Ends a running side's processes.
        on_change: Called after each change.

    """

    def __init__(
        self,
        name: str,
        end: Callable[[LoadedModel], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        self._name = name
        self._end = end
        self._on_change = on_change
        self._tasks: dict[LoadedModel, asyncio.Task[None]] = {}

    def __bool__(self) -> bool:
        return bool(self._tasks)

    @property
    def models(self) -> list[LoadedModel]:
        """What still runs."""
        return list(self._tasks)

    def begin(self, model: LoadedModel, seconds: float) -> None:
        """Let a running side's requests end, at most for so long, then end it."""
        task = asyncio.create_task(self._drain(model, seconds), name=f"drain-{self._name}")
        self._tasks[model] = task

    async def ended(self) -> None:
        """Wait until nothing of it runs any more."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _drain(self, model: LoadedModel, seconds: float) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await model.idle()
            if model.busy:
                _log.warning("model.drain_timeout", model=self._name, timeout_seconds=seconds)
            await self._end(model)
        except Exception:
            _log.exception("model.end_failed", model=self._name)
            raise
        finally:
            del self._tasks[model]
            self._on_change()
