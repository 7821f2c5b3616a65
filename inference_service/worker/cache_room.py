"""Room in the key-value cache and in a step, kept for what running sequences may come to need."""

from __future__ import annotations

from inference_service.worker.interface import Pipeline


class CacheRoom:
    """What is left of the cache, for engines that go wrong when it is full.

    Such an engine, when a sequence finds no block, drops another midway and computes it again; what
    comes then is not what it would have been, or the step fails. So a sequence is begun only when
    there is room for all that it may hold, and no more are begun than a step has room for. Of an
    engine that preempts rightly nothing is counted.

    Args:
        pipeline: The engine.

    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._free = 0 if pipeline.preempts else pipeline.cache_tokens // pipeline.block_tokens
        self._held: dict[int, int] = {}
        self._leaving: dict[int, int] = {}

    def fits(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Whether a sequence of so many tokens at most can be begun now."""
        if self._pipeline.preempts:
            return True
        if not self._pipeline.pending:
            self.stepped()
        most = self._pipeline.most_sequences
        if most is not None and len(self._held) + len(self._leaving) >= most:
            return False
        return self._blocks(prompt_tokens, completion_tokens) <= self._free

    def hold(self, sequence_id: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Keep room for a sequence."""
        if not self._pipeline.preempts:
            self._held[sequence_id] = blocks = self._blocks(prompt_tokens, completion_tokens)
            self._free -= blocks

    def leave(self, sequence_id: int) -> None:
        """Give a sequence's room back when the engine has done a step, which is what frees it."""
        if sequence_id in self._held:
            self._leaving[sequence_id] = self._held.pop(sequence_id)

    def stepped(self) -> None:
        """Note that a step was done."""
        self._free += sum(self._leaving.values())
        self._leaving.clear()

    def _blocks(self, prompt_tokens: int, completion_tokens: int) -> int:
        held = self._pipeline.held_tokens(prompt_tokens, completion_tokens)
        return -(-held // self._pipeline.block_tokens)
