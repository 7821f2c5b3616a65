"""One load that any number of callers wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from inference_service.errors import LoadCancelled, ServiceError

_log = structlog.get_logger(__name__)


class SharedLoad:
    """A load as one task; it is cancelled when nobody waits for it any more, unless detached.

    Args:
        model: The model's full name.
        work: Loads it.
        on_end: Called when it has ended, before those who wait are told; also where it was
            cancelled so early that the work has not begun.

    Attributes:
        task: The work.
        detached: Whether it goes on when nobody waits for it.

    """

    def __init__(
        self,
        model: str,
        work: Coroutine[Any, Any, None],
        on_end: Callable[[SharedLoad], None],
    ) -> None:
        self.detached = False
        self._model = model
        self._waiting = 0
        self.task = asyncio.create_task(work, name=f"load-{model}")
        self.task.add_done_callback(_seen)
        self.task.add_done_callback(lambda _: on_end(self))

    @property
    def ending(self) -> bool:
        """Whether it has been told to end."""
        return bool(self.task.cancelling())

    async def wait(self) -> None:
        """Wait for its end.

        Raises:
            LoadCancelled: It was cancelled, and not because the caller was.
            Exception: What the work raised.

        """
        self._waiting += 1
        try:
            await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.task.cancelled():
                raise LoadCancelled(self._model) from None
            raise
        finally:
            self._waiting -= 1
            if not (self._waiting or self.detached):
                self._end()

    async def cancel(self) -> None:
        """End it, and wait until all that it began is undone."""
        self._end()
        await asyncio.wait([self.task])

    def _end(self) -> None:
        if not self.ending:  # a second time would interrupt what is being undone
            self.task.cancel()


def _seen(task: asyncio.Task[None]) -> None:
    """Take note of how a load ended: who waited was told; what has no meaning is logged."""
    if task.cancelled():
        return
    error = task.exception()
    if error and not isinstance(error, ServiceError):
        _log.error("model.load_broke", task=task.get_name(), exc_info=error)
