"""The requests of a worker: from `Submit` to text, one step of the pipeline at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inference_service.engine import frames
from inference_service.worker.text import Detokenizer, StopMatcher


@dataclass(frozen=True, slots=True)
class Output:
    """What a step made of one completion; `finish_reason` is `None` while it goes on."""

    index: int
    token_ids: Sequence[int]
    finish_reason: str | None


class Generation(Protocol):
    """A request inside a pipeline."""

    def read(self) -> list[Output]:
        """Return what was generated since the last read.

        Raises:
            CacheTooSmall: The pipeline gave the request up for want of key-value cache.

        """
        ...

    def cancel(self) -> None:
        """Free its resources at the next step."""
        ...


class CacheTooSmall(Exception):
    """The key-value cache can't hold a request's prompt."""


class TextTooLong(Exception):
    """The tokenizer would cut the text.

    Attributes:
        limit: The most tokens that it gives.

    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the tokenizer cuts texts at {limit} tokens")
        self.limit = limit


class RequestRefused(Exception):
    """The engine refused a request when it was added; the pipeline is unharmed."""


class Pipeline(Protocol):
    """What a worker needs of an engine."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Turn text into token ids.

        Raises:
            TextTooLong: There are more than the tokenizer can give.

        """
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Turn token ids into text.

        Raises:
            ValueError: An id is outside the vocabulary.

        """
        ...

    def detokenizer(self) -> Detokenizer:
        """Return a new incremental detokenizer, special tokens skipped."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are."""
        ...

    def add(
        self, request_id: int, token_ids: Sequence[int], sampling: frames.Sampling, max_tokens: int
    ) -> Generation:
        """Add a request, which stops after `max_tokens` tokens.

        Raises:
            RequestRefused: The engine can't do what `sampling` asks.

        """
        ...

    def step(self) -> None:
        """Do one forward pass over the batch. After an exception, the pipeline is unusable."""
        ...

    @property
    def kv_cache_usage(self) -> float:
        """The part of the key-value cache in use, 0 to 1."""
        ...

    @property
    def pending(self) -> bool:
        """Whether a step has work to do, if only to free what was cancelled."""
        ...


@dataclass(slots=True)
class _Completion:
    detokenizer: Detokenizer
    stops: StopMatcher
    tokens: int = 0


@dataclass(slots=True)
class _Request:
    generation: Generation
    prompt_tokens: int
    completions: dict[int, _Completion] = field(default_factory=dict)


class Batch:
    """The running requests of a pipeline.

    Args:
        pipeline: The engine.
        context_length: The most tokens of prompt and completion together.

    """

    def __init__(self, pipeline: Pipeline, context_length: int) -> None:
        self._pipeline = pipeline
        self._context_length = context_length
        self._requests: dict[int, _Request] = {}
        self._samplings: dict[int, frames.Sampling] = {}
        self.steps = 0
        self.generated_tokens = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to step for."""
        return self._pipeline.pending

    def submit(self, request: frames.Submit) -> frames.Started | frames.Rejected:
        """Add a request to the batch, or say why it can't be done."""
        token_ids: Sequence[int]
        if isinstance(request.prompt, str):
            try:
                token_ids = self._pipeline.encode(request.prompt, add_special_tokens=False)
            except TextTooLong as error:
                return self._too_long(request, error.limit)
        else:
            token_ids = request.prompt
            wrong = next((i for i in token_ids if i >= self._pipeline.vocabulary_size), None)
            if wrong is not None:
                problem = f"{wrong} is not in the vocabulary"
                return invalid(request.request_id, "token_ids.ids", problem)
        if not token_ids:
            return invalid(request.request_id, "prompt", "has no tokens")
        sampling = request.sampling
        prompt_tokens = len(token_ids)
        room = self._context_length - prompt_tokens
        wanted = sampling.max_tokens
        if room < (wanted or 1):
            return self._too_long(request, prompt_tokens)
        try:
            generation = self._pipeline.add(request.request_id, token_ids, sampling, wanted or room)
        except RequestRefused as error:
            return invalid(request.request_id, "sampling", str(error))
        self._requests[request.request_id] = _Request(generation, prompt_tokens)
        self._samplings[request.request_id] = sampling
        return frames.Started(request.request_id, prompt_tokens)

    def cancel(self, request_id: int) -> None:
        """Stop a request; one that has ended already is no error."""
        request = self._requests.pop(request_id, None)
        self._samplings.pop(request_id, None)
        if request:
            request.generation.cancel()

    def step(self) -> list[frames.FromWorker]:
        """Do one step and return all that it made, the counts last."""
        self._pipeline.step()
        self.steps += 1
        messages: list[frames.FromWorker] = []
        for request_id, request in list(self._requests.items()):
            try:
                outputs = request.generation.read()
            except CacheTooSmall:
                self.cancel(request_id)
                messages.append(
                    frames.Rejected(
                        request_id,
                        "KV_CACHE_EXHAUSTED",
                        "the key-value cache is too small for this request of "
                        f"{request.prompt_tokens} prompt tokens",
                        {"prompt_tokens": request.prompt_tokens},
                    )
                )
                continue
            for output in outputs:
                self._take(request_id, request, output, messages)
        messages.append(self.progress())
        return messages

    def progress(self) -> frames.Progress:
        """Return the counts since the worker's start."""
        return frames.Progress(self.steps, self.generated_tokens, self._pipeline.kv_cache_usage)

    def _too_long(self, request: frames.Submit, prompt_tokens: int) -> frames.Rejected:
        metadata: dict[str, int | str] = {
            "prompt_tokens": prompt_tokens,
            "context_length": self._context_length,
        }
        asked = ""
        if request.sampling.max_tokens:
            metadata["max_tokens"] = request.sampling.max_tokens
            asked = f" and {request.sampling.max_tokens} to generate"
        return frames.Rejected(
            request.request_id,
            "CONTEXT_LENGTH_EXCEEDED",
            f"the model's context holds {self._context_length} tokens; the prompt has "
            f"{prompt_tokens}{asked}",
            metadata,
        )

    def _take(
        self,
        request_id: int,
        request: _Request,
        output: Output,
        messages: list[frames.FromWorker],
    ) -> None:
        completion = request.completions.get(output.index)
        if completion is None:
            completion = _Completion(
                self._pipeline.detokenizer(), StopMatcher(self._samplings[request_id].stop)
            )
            request.completions[output.index] = completion
        completion.tokens += len(output.token_ids)
        self.generated_tokens += len(output.token_ids)
        text, matched = completion.stops.push(completion.detokenizer.push(output.token_ids))
        if output.finish_reason and not matched:
            rest, matched = completion.stops.push(completion.detokenizer.flush())
            text += rest if matched else rest + completion.stops.flush()
        if text:
            messages.append(frames.Delta(request_id, output.index, text))
        if not matched and not output.finish_reason:
            return
        messages.append(
            frames.Finished(
                request_id,
                output.index,
                "length" if output.finish_reason == "length" and not matched else "stop",
                request.prompt_tokens,
                completion.tokens,
                matched,
            )
        )
        if output.finish_reason:
            del self._requests[request_id], self._samplings[request_id]
        else:
            self.cancel(request_id)


def invalid(request_id: int, field_name: str, problem: str) -> frames.Rejected:
    """Say that a field of a request can't be used."""
    return frames.Rejected(
        request_id, "INVALID_ARGUMENT", f"{field_name}: {problem}", {"field": field_name}
    )
