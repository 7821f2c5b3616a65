from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from inference_service.domain import ModelInfo, ModelRemoved, ModelState, WatchStarted
from inference_service.models.watching import Watchers


class Models:
    """Models whose states the test sets."""

    def __init__(self) -> None:
        self.states: dict[str, ModelState] = {}
        self.watchers = Watchers(self.info)

    def info(self, name: str) -> ModelInfo | None:
        if name not in self.states:
            return None
        return ModelInfo(name, self.states[name], datetime(2026, 1, 1, tzinfo=UTC))

    def set(self, name: str, state: ModelState | None) -> None:
        if state is None:
            del self.states[name]
        else:
            self.states[name] = state
        self.watchers.changed(name)


@pytest.fixture
def models() -> Models:
    return Models()


async def test_states_first_then_changes(models: Models) -> None:
    models.set("b", ModelState.READY)
    models.set("a", ModelState.UNLOADED)
    async with aclosing(models.watchers.watch(frozenset(), models.states)) as events:
        first = [await anext(events) for _ in range(3)]
        assert [getattr(event, "name", None) for event in first] == ["a", "b", None]
        assert isinstance(first[2], WatchStarted)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        assert not waiting.done()
        models.set("a", ModelState.LOADING)
        assert await waiting == models.info("a")
        models.set("b", None)
        assert await anext(events) == ModelRemoved("b")


async def test_slow_watcher_gets_the_latest_of_each(models: Models) -> None:
    models.set("a", ModelState.UNLOADED)
    async with aclosing(models.watchers.watch(frozenset(), models.states)) as events:
        for _ in range(2):
            await anext(events)
        for _ in range(1000):
            models.set("a", ModelState.LOADING)
            models.set("a", ModelState.READY)
        models.set("new", ModelState.FAILED)
        assert await anext(events) == models.info("a")
        assert await anext(events) == models.info("new")
        models.set("brief", ModelState.LOADING)
        models.set("brief", None)  # came and went unseen
        models.watchers.changed("a")  # as it was
        models.set("a", ModelState.DRAINING)
        told = await anext(events)
        assert told == models.info("a")


async def test_only_what_is_asked_for(models: Models) -> None:
    models.set("a", ModelState.UNLOADED)
    models.set("b", ModelState.UNLOADED)
    async with aclosing(models.watchers.watch(frozenset({"b"}), models.states)) as events:
        assert await anext(events) == models.info("b")
        assert isinstance(await anext(events), WatchStarted)
        models.set("a", ModelState.READY)
        models.set("b", ModelState.READY)
        assert await anext(events) == models.info("b")


async def test_work_is_watched_to_its_end_and_its_failure_is_raised(models: Models) -> None:
    go = asyncio.Event()

    async def work() -> None:
        models.set("a", ModelState.LOADING)
        await go.wait()
        models.set("a", ModelState.READY)
        raise RuntimeError("failed in the end")

    infos = models.watchers.until("a", work())
    assert (await anext(infos)).state is ModelState.LOADING
    go.set()
    with pytest.raises(RuntimeError, match="in the end"):
        await anext(infos)


async def test_work_that_nobody_watches_any_more_is_cancelled(models: Models) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        models.set("a", ModelState.LOADING)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with aclosing(models.watchers.until("a", work())) as infos:
        assert (await anext(infos)).state is ModelState.LOADING
    assert ended.is_set()


async def test_who_leaves_what_is_being_done_leaves_no_task_behind(models: Models) -> None:
    models.set("a", ModelState.UNLOADED)
    before = asyncio.all_tasks()

    async def follow() -> None:
        async for _ in models.watchers.until("a", asyncio.sleep(3600)):
            pass

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.wait([following])
    assert asyncio.all_tasks() == before
