"""What of a model takes no more requests, and ends when those that run have."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from inference_service.models.loaded import LoadedModel

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Drain:
    """One running side's end.

    Attributes:
        until: When its requests' time is over, by the event loop's clock.
        limit: Ends the wait then, while it lasts.

    """

    task: asyncio.Task[None]
    until: float
    limit: asyncio.Timeout | None = None


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
        self._drains: dict[LoadedModel, _Drain] = {}

    def __bool__(self) -> bool:
        return bool(self._drains)

    @property
    def models(self) -> list[LoadedModel]:
        """What still runs."""
        return list(self._drains)

    def begin(self, model: LoadedModel, seconds: float) -> None:
        """Let a running side's requests end, at most for so long, then end it."""
        task = asyncio.create_task(self._drain(model), name=f"drain-{self._name}")
        self._drains[model] = _Drain(task, asyncio.get_running_loop().time() + seconds)

    def hasten(self, seconds: float) -> None:
        """Let what ends its requests already have no more than so long from now."""
        latest = asyncio.get_running_loop().time() + seconds
        for drain in self._drains.values():
            if latest < drain.until:
                drain.until = latest
                if drain.limit:
                    drain.limit.reschedule(latest)

    async def ended(self, model: LoadedModel | None = None) -> None:
        """Wait until nothing of it runs any more, or not the one that is named."""
        tasks = [
            drain.task for ends, drain in self._drains.items() if model is None or ends is model
        ]
        if tasks:
            await asyncio.wait(tasks)

    async def _drain(self, model: LoadedModel) -> None:
        drain = self._drains[model]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(drain.until) as drain.limit:
                    await model.idle()
            drain.limit = None
            if model.busy:
                _log.warning("model.drain_timeout", model=self._name)
            await self._end(model)
        except Exception:
            _log.exception("model.end_failed", model=self._name)
            raise
        finally:
            del self._drains[model]
            self._on_change()
