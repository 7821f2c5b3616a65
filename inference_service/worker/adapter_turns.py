"""Whose turn it is, as a batch can be computed with one LoRA adapter at a time only."""

from __future__ import annotations

from collections.abc import Mapping

from inference_service.worker.interface import Pipeline


class AdapterTurns:
    """Lets requests begin in turns, each turn being one adapter's or the model's own.

    A turn has the requests that wait for its adapter when it begins, and those that come for it
    while no other adapter is waited for. So requests are computed in large batches, and none waits
    for more than a turn of each other adapter. The next turn is that of the request that has waited
    longest; it begins when all of the last have ended. Without adapters it is always everyone's.

    Args:
        pipeline: The engine.

    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._adapter: str | None = None
        self._members: set[int] = set()

    def members(self, waiting: Mapping[int, str | None], *, idle: bool) -> list[int]:
        """Return those that may begin now, in their order; the engine is made ready for them.

        Args:
            waiting: The ids of all requests that wait, in order, and their adapters.
            idle: Whether nothing is computed, so that the next turn can begin.

        """
        if not self._pipeline.adapters or not waiting:
            return list(waiting)
        if idle:
            adapter = next(iter(waiting.values()))
            if adapter != self._adapter:
                self._pipeline.use_adapter(adapter)
                self._adapter = adapter
            self._members = {i for i, other in waiting.items() if other == adapter}
        elif all(adapter == self._adapter for adapter in waiting.values()):
            self._members.update(waiting)
        self._members.intersection_update(waiting)
        return [request_id for request_id in waiting if request_id in self._members]
