"""The requests of a worker: from `Submit` to text, one step of the pipeline at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec

from inference_service.engine import frames
from inference_service.worker.adapter_turns import AdapterTurns
from inference_service.worker.admission import admit, cache_too_small, invalid
from inference_service.worker.cache import PrefixCache
from inference_service.worker.cache_room import CacheRoom
from inference_service.worker.compiling import GrammarQueue
from inference_service.worker.completion import Completion
from inference_service.worker.interface import (
    CacheTooSmall,
    Output,
    Pipeline,
    RequestRefused,
)
from inference_service.worker.leaving import LeavingSequences
from inference_service.worker.sequence import Request, Sequence, given_up

_SEEDS = 1 << 64  # the engine's are of 64 bits
_STEPS_AHEAD = 2  # of prompts to compute; a step must never find less than it can do


class Batch:
    """The running requests of a pipeline.

    Each completion of a request is a sequence of its own in the engine, which can't end one of
    several by a stop string. All but the first wait until the prompt is computed, if the engine can
    share it.

    Requests wait here, not in the engine, while it has prompts for two steps to compute: one that
    is cancelled then costs nothing, and one whose prompt begins like another's finds that computed.

    Args:
        pipeline: The engine.
        context_length: The most tokens of prompt and completion together.
        wake: Called from another thread when there is something for `advance`.

    """

    def __init__(
        self, pipeline: Pipeline, context_length: int, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._pipeline = pipeline
        self._context_length = context_length
        self._requests: dict[int, Request] = {}
        self._sequences: dict[int, Sequence] = {}
        self._sequence_ids = itertools.count(1)
        self._waiting: dict[int, str | None] = {}  # for their turn, in order; their adapters
        self._turns = AdapterTurns(pipeline)
        self._room = CacheRoom(pipeline)
        self._enough_tokens = _STEPS_AHEAD * pipeline.step_tokens
        self._prefill_tokens = 0
        self._grammars = GrammarQueue(pipeline, wake)
        blocks = pipeline.cache_tokens // pipeline.block_tokens if pipeline.prefix_caching else 0
        self._cache = PrefixCache(blocks, pipeline.block_tokens)
        self._leaving = LeavingSequences(self._cache)
        self.steps = 0
        self.generated_tokens = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to step for."""
        return self._pipeline.pending or bool(self._sequences)

    def submit(self, request: frames.Submit) -> list[frames.FromWorker]:
        """Take a request, or say why it can't be done.

        One that has to wait, for room or for its grammar to be compiled, is begun by `advance`.
        """
        prompt = admit(self._pipeline, self._context_length, request)
        if isinstance(prompt, frames.Rejected):
            return [prompt]
        self._requests[request.request_id] = Request(request, prompt)
        if request.grammar:
            self._grammars.push(request.request_id, request.grammar)
            return []
        self._waiting[request.request_id] = request.adapter
        return self._begin_waiting()

    def advance(self) -> list[frames.FromWorker]:
        """Begin what has waited: completions for their prompt, requests for their grammar."""
        messages: list[frames.FromWorker] = []
        for request_id, request in list(self._requests.items()):
            if request.prefilled and request.begun < request.submit.sampling.n:
                messages += self._begin_rest(request_id, request)
        forms_wait = any(self._requests[waiting].submit.grammar for waiting in self._waiting)
        for compiled in self._grammars.take(hold=forms_wait):
            if compiled.refusal:
                del self._requests[compiled.request_id]
                problem = str(compiled.refusal)
                messages.append(invalid(compiled.request_id, "constraint", problem))
            else:
                request = self._requests[compiled.request_id]
                self._waiting[compiled.request_id] = request.submit.adapter
        return messages + self._begin_waiting()

    def cancel(self, request_id: int) -> None:
        """Stop a request; one that has ended already is no error."""
        request = self._requests.pop(request_id, None)
        self._waiting.pop(request_id, None)
        self._grammars.cancel(request_id)
        for sequence_id in list(request.sequences) if request else ():
            self._cancel(sequence_id)

    def step(self) -> list[frames.FromWorker]:
        """Do one step and return all that it made, the counts last."""
        self._pipeline.step()
        self.steps += 1
        self._grammars.stepped()
        self._room.stepped()
        messages: list[frames.FromWorker] = []
        for sequence_id, sequence in list(self._sequences.items()):
            if sequence_id in self._sequences:  # not rejected with another of its request
                self._read(sequence_id, sequence, messages)
        for sequence_id in self._leaving.take(pending=self._pipeline.pending):
            self._grammars.ended(sequence_id)
            self._room.leave(sequence_id)
        if not self._pipeline.pending:
            for request in given_up(self._sequences.values()):
                self._reject(request, messages)
        messages += self.advance()
        messages.append(self.progress())
        return messages

    def progress(self) -> frames.Progress:
        """Return the counts since the worker's start."""
        return frames.Progress(self.steps, self.generated_tokens, self._pipeline.kv_cache_usage)

    @property
    def _idle(self) -> bool:
        """Whether nothing is computed, nor will be of what was begun."""
        return not self.busy and not any(request.begun for request in self._requests.values())

    def _begin_waiting(self) -> list[frames.FromWorker]:
        """Begin requests in their order until the engine has prompts enough to compute."""
        messages: list[frames.FromWorker] = []
        if not self._pipeline.preempts and any(
            map(Request.is_begun_in_part, self._requests.values())
        ):
            return messages  # else those that need little room could come before its rest for ever
        for request_id in self._turns.members(self._waiting, idle=self._idle):
            request = self._requests[request_id]
            if self._prefill_tokens + self._leaving.prefill_tokens >= self._enough_tokens:
                break
            if not self._room.fits(request.prompt_tokens, request.prompt.max_tokens):
                break
            if request.submit.grammar and self._grammars.compiling:
                continue
            del self._waiting[request_id]
            messages += self._begin(request_id)
        return messages

    def _begin(self, request_id: int) -> list[frames.FromWorker]:
        request = self._requests[request_id]
        request.cached_tokens = self._cache.match(request.prompt.token_ids)
        try:
            self._add(request)
        except RequestRefused as error:
            del self._requests[request_id]
            return [invalid(request_id, "sampling", str(error))]
        started = frames.Started(request_id, request.prompt_tokens, request.cached_tokens)
        rest = [] if self._cache.enabled else self._begin_rest(request_id, request)
        return [started, *rest]

    def _begin_rest(self, request_id: int, request: Request) -> list[frames.FromWorker]:
        if request.submit.grammar and self._grammars.compiling:
            return []
        try:
            while request.begun < request.submit.sampling.n:
                if not self._room.fits(request.prompt_tokens, request.prompt.max_tokens):
                    break
                self._add(request)
        except RequestRefused as error:
            self.cancel(request_id)
            return [invalid(request_id, "sampling", str(error))]
        return []

    def _add(self, request: Request) -> None:
        """Give the next completion of a request to the engine."""
        submit, index = request.submit, request.begun
        seed = (submit.sampling.seed + index) % _SEEDS
        sequence_id = next(self._sequence_ids)
        generation = self._pipeline.add(
            sequence_id,
            request.prompt.token_ids,
            msgspec.structs.replace(submit.sampling, seed=seed),
            request.prompt.max_tokens,
            submit.grammar,
        )
        completion = Completion(self._pipeline, submit)
        sequence = Sequence(request, index, generation, completion)
        sequence.prefill_tokens = request.prompt_tokens - request.cached_tokens
        self._prefill_tokens += sequence.prefill_tokens
        self._sequences[sequence_id] = sequence
        self._room.hold(sequence_id, request.prompt_tokens, request.prompt.max_tokens)
        request.sequences.add(sequence_id)
        request.begun += 1
        if submit.grammar:
            self._grammars.added(sequence_id)

    def _read(
        self, sequence_id: int, sequence: Sequence, messages: list[frames.FromWorker]
    ) -> None:
        try:
            outputs = sequence.generation.read()
        except CacheTooSmall:
            self._reject(sequence.request, messages)
            return
        for output in outputs:
            self._take(sequence_id, sequence, output, messages)

    def _reject(self, request: Request, messages: list[frames.FromWorker]) -> None:
        request_id = request.submit.request_id
        self.cancel(request_id)
        messages.append(cache_too_small(request_id, request.prompt_tokens))

    def _take(
        self,
        sequence_id: int,
        sequence: Sequence,
        output: Output,
        messages: list[frames.FromWorker],
    ) -> None:
        if sequence_id not in self._sequences:
            return  # a stop string ended it; the engine had made more
        self.generated_tokens += len(output.token_ids)
        self._account(sequence, output)
        request, index = sequence.request, sequence.index
        request.prefilled = True
        self._grammars.ended(sequence_id)
        request_id = request.submit.request_id
        piece = sequence.completion.push(output)
        if piece.text or piece.logprobs:
            messages.append(
                frames.Delta(request_id, index, piece.text, piece.tokens, piece.logprobs)
            )
        if not piece.reason:
            return
        messages.append(sequence.finished(piece.reason, piece.matched_stop))
        if output.finish_reason:
            self._room.leave(sequence_id)
            self._forget(sequence_id)
        else:
            self._cancel(sequence_id)
        request.ended += 1
        if request.ended == request.submit.sampling.n:
            del self._requests[request_id]

    def _account(self, sequence: Sequence, output: Output) -> None:
        """Note what the engine has computed: all but the token that was generated last."""
        if sequence.cached is None:
            self._prefilled(sequence)
            sequence.cached = self._cache.sequence(sequence.request.prompt.token_ids)
        if output.token_ids:
            before = () if sequence.uncomputed is None else (sequence.uncomputed,)
            sequence.cached.extend((*before, *output.token_ids[:-1]))
            sequence.uncomputed = output.token_ids[-1]

    def _cancel(self, sequence_id: int) -> None:
        sequence = self._sequences[sequence_id]
        if sequence.cached is None and self._cache.enabled:
            prompt = sequence.request.prompt.token_ids
            tokens = sequence.prefill_tokens
            self._leaving.add(sequence_id, sequence.generation, prompt, tokens)
        else:
            sequence.generation.cancel()
            self._room.leave(sequence_id)
            self._grammars.ended(sequence_id, cancelled=True)
        if sequence.cached and sequence.uncomputed is not None:
            sequence.cached.extend((sequence.uncomputed,))  # the step that frees it still computes
        self._forget(sequence_id)

    def _forget(self, sequence_id: int) -> None:
        sequence = self._sequences.pop(sequence_id)
        sequence.request.sequences.discard(sequence_id)
        self._prefilled(sequence)
        if sequence.cached:
            sequence.cached.end()

    def _prefilled(self, sequence: Sequence) -> None:
        self._prefill_tokens -= sequence.prefill_tokens
        sequence.prefill_tokens = 0
