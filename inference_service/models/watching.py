"""Those who watch models: each is told the latest of what changed since it last read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

from inference_service.domain import ModelInfo, ModelRemoved, WatchEvent, WatchStarted


class Watchers:
    """Everyone who watches models.

    Args:
        info: Gives a model as it is now; `None` when there is none of that full name.

    """

    def __init__(self, info: Callable[[str], ModelInfo | None]) -> None:
        self._info = info
        self._watchers: set[_Watcher] = set()

    def changed(self, name: str) -> None:
        """Tell that a model is not as it was."""
        for watcher in self._watchers:
            watcher.changed(name)

    async def watch(
        self, names: frozenset[str], known: Iterable[str]
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield models as they are, `WatchStarted`, then each change, for ever.

        What a watcher has not read is kept as names alone: it is told of each model as it is when
        it reads.

        Args:
            names: Full names to watch; none is all.
            known: Full names of the models that there are now.

        """
        watcher = _Watcher(names)
        self._watchers.add(watcher)
        told: dict[str, ModelInfo] = {}
        try:
            for name in sorted(known):
                watcher.changed(name)
            for event in self._events(watcher.take(), told):
                yield event
            yield WatchStarted()
            while True:
                await watcher.wait()
                for name in watcher.take():
                    for event in self._events([name], told):
                        yield event
        finally:
            self._watchers.discard(watcher)

    async def until(
        self, name: str, work: Coroutine[None, None, None]
    ) -> AsyncGenerator[ModelInfo, None]:
        """Yield a model after each change while something is done with it, to the end of that.

        Closing the iterator cancels the work.

        Args:
            name: The model's full name.
            work: What is done; what it raises is raised here.

        """
        watcher = _Watcher(frozenset({name}))
        self._watchers.add(watcher)
        told: dict[str, ModelInfo] = {}
        working = asyncio.ensure_future(work)
        # To be told as it is once the work has begun, which it does first.
        asyncio.get_running_loop().call_soon(watcher.changed, name)
        working.add_done_callback(lambda _: watcher.wake())
        try:
            while not working.done():
                await watcher.wait()
                if not working.done():
                    for event in self._events(watcher.take(), told):
                        if isinstance(event, ModelInfo):
                            yield event
            await working
        finally:
            self._watchers.discard(watcher)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _events(
        self, names: Iterable[str], told: dict[str, ModelInfo]
    ) -> Iterable[ModelInfo | ModelRemoved]:
        for name in names:
            info = self._info(name)
            if info is None:
                if told.pop(name, None):
                    yield ModelRemoved(name)
            elif told.get(name) != info:
                told[name] = info
                yield info


class _Watcher:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._pending: dict[str, None] = {}
        self._event = asyncio.Event()

    def changed(self, name: str) -> None:
        if not self._names or name in self._names:
            self._pending[name] = None
            self._event.set()

    def take(self) -> list[str]:
        pending = list(self._pending)
        self._pending.clear()
        self._event.clear()
        return pending

    def wake(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
