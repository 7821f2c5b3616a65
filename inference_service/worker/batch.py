"""The requests of a worker: from `Submit` to text, one step of the pipeline at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from inference_service.engine import frames
from inference_service.worker.interface import (
    CacheTooSmall,
    Generation,
    Output,
    Pipeline,
    RequestRefused,
    TextTooLong,
)
from inference_service.worker.text import Detokenizer, StopMatcher


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
        return self._pipeline.pending or bool(self._requests)

    def submit(self, request: frames.Submit) -> frames.Started | frames.Rejected:
        """Add a request to the batch, or say why it can't be done."""
        token_ids: Sequence[int]
        if isinstance(request.prompt, str):
            try:
                token_ids = self._pipeline.encode(request.prompt, add_special_tokens=False)
            except TextTooLong as error:
                return self._too_long(request, error.limit)
            except RequestRefused as error:
                return invalid(request.request_id, "prompt", str(error))
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
        # One that can't fit alone would be given up by the engine midway, and others with it.
        room = min(room, self._pipeline.cache_tokens - prompt_tokens)
        if room < (wanted or 1):
            return _cache_too_small(request.request_id, prompt_tokens)
        if sampling.min_tokens > (wanted or room):
            problem = f"is more than the {wanted or room} tokens that may be generated"
            return invalid(request.request_id, "sampling.min_tokens", problem)
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
                messages.append(_cache_too_small(request_id, request.prompt_tokens))
                continue
            for output in outputs:
                self._take(request_id, request, output, messages)
        if not self._pipeline.pending:
            self._reject_given_up(messages)
        messages.append(self.progress())
        return messages

    def _reject_given_up(self, messages: list[frames.FromWorker]) -> None:
        """Reject what the engine dropped without saying so: it has no work left, we have."""
        for request_id, request in list(self._requests.items()):
            try:
                outputs = request.generation.read()
            except CacheTooSmall:
                outputs = []
            if outputs:
                raise RuntimeError(f"the engine ended request {request_id} with output unread")
            self.cancel(request_id)
            messages.append(_cache_too_small(request_id, request.prompt_tokens))

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


def _cache_too_small(request_id: int, prompt_tokens: int) -> frames.Rejected:
    return frames.Rejected(
        request_id,
        "KV_CACHE_EXHAUSTED",
        "the key-value cache is too small for this request's prompt and completion; the prompt "
        f"has {prompt_tokens} tokens",
        {"prompt_tokens": prompt_tokens},
    )


def invalid(request_id: int, field_name: str, problem: str) -> frames.Rejected:
    """Say that a field of a request can't be used."""
    return frames.Rejected(
        request_id, "INVALID_ARGUMENT", f"{field_name}: {problem}", {"field": field_name}
    )
