"""Models that nobody uses: which may go, and when they go by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from inference_service.models.slot import Slot


def idle_unload_seconds(slot: Slot, default_seconds: float | None) -> float | None:
    """Return how long a model stays loaded without a request; `None` is for ever.

    Args:
        slot: The model.
        default_seconds: What holds where neither the last request nor the settings say.

    """
    if slot.stays:
        return None
    seconds = slot.entry.settings.idle_unload_seconds if slot.entry.settings else None
    if seconds is None:
        seconds = default_seconds
    if slot.serving:
        asked = slot.serving.keep_alive_seconds
        own = slot.serving.folder.settings.idle_unload_seconds
        seconds = asked if asked is not None else own if own is not None else default_seconds
    return None if seconds is None or seconds < 0 else seconds


def evictable(slots: Iterable[Slot]) -> list[Slot]:
    """Return the models that may be unloaded now, the least recently used first.

    They are ready, and neither busy nor pinned.
    """
    idle = [slot for slot in slots if slot.idle and not slot.stays]
    return sorted(idle, key=lambda slot: slot.model.last_use)


async def one_ended(slots: Iterable[Slot]) -> bool:
    """Wait until a model that ends its requests has ended; false, at once, if none does."""
    ending = [asyncio.ensure_future(slot.settled()) for slot in slots if slot.draining]
    if not ending:
        return False
    try:
        await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in ending:
            task.cancel()
    return True


class Reaper:
    """Unloads models at the end of their idle time.

    Args:
        slots: Gives all models.
        default_seconds: See `idle_unload_seconds`.

    """

    def __init__(self, slots: Callable[[], Iterable[Slot]], default_seconds: float | None) -> None:
        self._slots = slots
        self._default_seconds = default_seconds
        self._look_again = asyncio.Event()

    def look_at(self, slot: Slot) -> None:
        """Look again, for a model may be idle now."""
        if idle_unload_seconds(slot, self._default_seconds) is not None:
            self._look_again.set()

    async def run(self) -> None:
        """Unload models until cancelled."""
        while True:
            self._look_again.clear()
            due = [(end, slot) for slot in self._slots() if (end := self._end(slot)) is not None]
            now = time.monotonic()
            await asyncio.gather(*(slot.evict() for end, slot in due if end <= now))
            ahead = [end for end, _ in due if end > now]
            with suppress(TimeoutError):
                async with asyncio.timeout(min(ahead) - time.monotonic() if ahead else None):
                    await self._look_again.wait()

    def _end(self, slot: Slot) -> float | None:
        """Return when a model is to be unloaded, by `time.monotonic`; `None` is not by now."""
        if not slot.idle:
            return None  # the end of what goes on wakes
        seconds = idle_unload_seconds(slot, self._default_seconds)
        return None if seconds is None else slot.model.last_use + seconds
