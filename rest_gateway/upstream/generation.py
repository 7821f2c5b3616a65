"""Running completions: one call of the service, or several as one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self, TypeAlias

import grpc
from openvino_server.v1 import inference_pb2

from rest_gateway.upstream.errors import UpstreamError
from rest_gateway.upstream.stream import Stream

Generation: TypeAlias = Stream[inference_pb2.GenerateResponse]
"""A running `Generate` call."""


class MergedGeneration:
    """Several generations as one, whose completions have their indexes one after the other.

    Messages come in the order in which the service sends them. The first failure fails all, and
    ends those that run.

    Args:
        starts: Start the generations.
        completions: How many completions each makes.
        max_running: How many run at a time; the others wait for their turn.
        explain: Makes what is raised of a failure, and of the place of the generation that failed.

    """

    def __init__(
        self,
        starts: Sequence[Callable[[], Generation]],
        completions: int,
        max_running: int,
        explain: Callable[[int, UpstreamError], Exception],
    ) -> None:
        self._explain = explain
        self._waiting = deque(enumerate(starts))
        self._completions = completions
        self._max_running = max_running
        self._reads: dict[asyncio.Task[inference_pb2.GenerateResponse], tuple[int, Generation]] = {}
        self._ready: deque[inference_pb2.GenerateResponse] = deque()
        self._cancelled = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> inference_pb2.GenerateResponse:
        while not self._ready:
            if self._cancelled:
                raise UpstreamError(grpc.StatusCode.CANCELLED, None, "cancelled here")
            while self._waiting and len(self._reads) < self._max_running:
                place, start = self._waiting.popleft()
                self._read(place, start())
            if not self._reads:
                raise StopAsyncIteration
            await self._take_what_came()
        return self._ready.popleft()

    def cancel(self) -> None:
        """See `Stream`."""
        self._cancelled = True
        self._waiting.clear()
        self._ready.clear()
        for task, (_, generation) in self._reads.items():
            generation.cancel()
            task.cancel()
            if task.done() and not task.cancelled():
                task.exception()  # has been seen: only the first failure is told
        self._reads.clear()

    def _read(self, place: int, generation: Generation) -> None:
        self._reads[asyncio.ensure_future(_next(generation))] = place, generation

    async def _take_what_came(self) -> None:
        done, _ = await asyncio.wait(self._reads, return_when=asyncio.FIRST_COMPLETED)
        if self._cancelled:
            return
        for task in done:
            place, generation = self._reads[task]
            try:
                message = task.result()
            except StopAsyncIteration:
                del self._reads[task]
                continue
            except UpstreamError as error:
                self.cancel()
                raise self._explain(place, error) from None
            del self._reads[task]
            for event in message.events:
                event.index += place * self._completions
            self._ready.append(message)
            self._read(place, generation)


async def _next(generation: Generation) -> inference_pb2.GenerateResponse:
    return await anext(generation)
