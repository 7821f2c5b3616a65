"""A request of a worker, and its completions inside the engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from inference_service.engine import frames
from inference_service.worker.admission import Prompt
from inference_service.worker.cache import CachedSequence
from inference_service.worker.completion import Completion
from inference_service.worker.interface import CacheTooSmall, Generation


@dataclass(slots=True)
class Request:
    """A request that is running or waits."""

    submit: frames.Submit
    prompt: Prompt
    cached_tokens: int = 0
    begun: int = 0  # completions of it that were given to the engine
    ended: int = 0
    prefilled: bool = False
    sequences: set[int] = field(default_factory=set)

    @property
    def prompt_tokens(self) -> int:
        """Tokens in the prompt."""
        return len(self.prompt.token_ids)

    def is_begun_in_part(self) -> bool:
        """Whether the engine has some of its completions, but not all."""
        return 0 < self.begun < self.submit.sampling.n


@dataclass(slots=True)
class Sequence:
    """A completion inside the engine."""

    request: Request
    index: int
    generation: Generation
    completion: Completion
    cached: CachedSequence | None = None  # None until the prompt is computed
    uncomputed: int | None = None  # the last token; the next step computes it
    prefill_tokens: int = 0  # of the prompt, those still to be computed

    def finished(
        self, reason: Literal["stop", "length"], matched_stop: str | None
    ) -> frames.Finished:
        """Return what is said at its end."""
        return frames.Finished(
            self.request.submit.request_id,
            self.index,
            reason,
            self.request.prompt_tokens,
            self.completion.tokens,
            matched_stop,
            self.request.cached_tokens,
        )


def given_up(sequences: Iterable[Sequence]) -> list[Request]:
    """Return whose sequences an engine dropped without saying so: it has no work left, we have.

    Raises:
        RuntimeError: One of the sequences has output that nobody has read.

    """
    requests: dict[int, Request] = {}
    for sequence in sequences:
        request_id = sequence.request.submit.request_id
        try:
            outputs = sequence.generation.read()
        except CacheTooSmall:
            outputs = []
        if outputs:
            raise RuntimeError(f"the engine ended request {request_id} with output unread")
        requests[request_id] = sequence.request
    return list(requests.values())
