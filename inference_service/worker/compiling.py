"""Requests that wait for their grammar: it is compiled beside the steps, not in one of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from inference_service.engine import frames
from inference_service.worker.interface import Pipeline, RequestRefused


@dataclass(frozen=True, slots=True)
class Compiled:
    """A request whose grammar a step need not wait for, or which the compiler refuses."""

    request_id: int
    refusal: RequestRefused | None


class GrammarQueue:
    """Compiles one grammar after the other, in the order of the requests.

    The engine must not compile while a step begins a sequence with a grammar (see
    `Pipeline.compile`), so the queue is told of each such sequence, and waits for its first output.

    Args:
        pipeline: The engine.
        wake: Called from another thread when a compilation has ended.

    """

    def __init__(self, pipeline: Pipeline, wake: Callable[[], None]) -> None:
        self._pipeline = pipeline
        self._wake = wake
        self._waiting: dict[int, frames.Grammar] = {}
        self._compilation: Future[None] | None = None
        self._compiled_for: int | None = None
        self._beginning: set[int] = set()
        self._cancelled: set[int] = set()

    @property
    def compiling(self) -> bool:
        """Whether no sequence with a grammar may be added now."""
        return self._compilation is not None

    def push(self, request_id: int, grammar: frames.Grammar) -> None:
        """Add a request at the end."""
        self._waiting[request_id] = grammar

    def cancel(self, request_id: int) -> None:
        """Forget a request; one that doesn't wait is no error."""
        self._waiting.pop(request_id, None)
        if self._compiled_for == request_id:
            self._compiled_for = None

    def added(self, sequence_id: int) -> None:
        """Note that a sequence with a grammar was added."""
        self._beginning.add(sequence_id)

    def ended(self, sequence_id: int, *, cancelled: bool = False) -> None:
        """Note a sequence's first output or its end; the engine begins a cancelled one even so."""
        if sequence_id in self._beginning:
            if cancelled:
                self._cancelled.add(sequence_id)
            else:
                self._beginning.discard(sequence_id)

    def stepped(self) -> None:
        """Note that a step was done: what was cancelled is gone."""
        self._beginning -= self._cancelled
        self._cancelled.clear()

    def take(self, *, hold: bool = False) -> list[Compiled]:
        """Return the requests whose turn has come, and begin to compile what is next.

        Args:
            hold: Whether to begin nothing, as some that were returned earlier are not added yet.

        Raises:
            Exception: The compiler failed in another way than refusing.

        """
        ready: list[Compiled] = []
        if self._compilation and self._compilation.done():
            refusal: RequestRefused | None = None
            try:
                self._compilation.result()
            except RequestRefused as error:
                refusal = error
            if self._compiled_for is not None:
                ready.append(Compiled(self._compiled_for, refusal))
            self._compilation = self._compiled_for = None
        while self._waiting and not self._compilation:
            request_id, grammar = next(iter(self._waiting.items()))
            if self._pipeline.needs_compiling(grammar):
                if self._beginning or ready or hold:
                    break
                self._compiled_for = request_id
                self._compilation = self._pipeline.compile(grammar)
                self._compilation.add_done_callback(lambda _: self._wake())
            else:
                ready.append(Compiled(request_id, None))
            del self._waiting[request_id]
        return ready
