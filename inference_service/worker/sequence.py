"""A request of a worker, and its completions inside the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference_service.engine import frames
from inference_service.worker.admission import Prompt
from inference_service.worker.cache import CachedSequence
from inference_service.worker.completion import Completion
from inference_service.worker.interface import Generation


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
