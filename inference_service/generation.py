"""Requests to answers: admission, prompt and form, engine, events. The servicers call only this."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence

from structlog.contextvars import bind_contextvars

from inference_service.domain import (
    ChatInput,
    Event,
    Finished,
    GenerateRequest,
    ModelKind,
    SamplingParams,
)
from inference_service.engine.frames import Sampling
from inference_service.engine.worker import Worker
from inference_service.errors import ContextLengthExceeded
from inference_service.models.registry import Registry
from inference_service.models.repository import SamplingDefaults
from inference_service.preparation import prepare


class Generator:
    """Runs requests on the models of a registry.

    Args:
        registry: The models.
        max_unread_bytes: Unread text a slow reader may leave before it is cancelled.

    """

    def __init__(self, registry: Registry, max_unread_bytes: int) -> None:
        self._registry = registry
        self._max_unread_bytes = max_unread_bytes

    async def generate(self, request: GenerateRequest) -> AsyncIterator[list[Event]]:
        """Generate a completion and yield its events, all that are unread at a time.

        Closing the iterator stops the generation.

        Raises:
            ServiceError: See `InferenceService.Generate` in inference.proto.

        """
        bind_contextvars(model=request.model)
        target = await self._registry.acquire(request.model, "Generate", ModelKind.GENERATION)
        model = target.model
        with model.used(request.keep_alive_seconds):
            with model.admitted(request.sampling.n) as worker:
                prepared = await prepare(model, request)
                _check_length(prepared.prompt, worker, model.folder.context_length)
                if prepared.grammar:
                    await model.grammars.check(prepared.grammar)
                worker = model.route(prepared.prompt, target.adapter)
                stream = worker.submit(
                    prepared.prompt,
                    fill_sampling(request.sampling, model.folder.sampling),
                    self._max_unread_bytes,
                    grammar=prepared.grammar,
                    markers=prepared.markers,
                    parser=prepared.parser,
                    add_special_tokens=prepared.add_special_tokens,
                    adapter=target.adapter,
                )
            try:
                async for events in stream:
                    _note(events)
                    yield events
            finally:
                stream.close()

    async def tokenize(
        self, model_name: str, text: str | ChatInput, *, add_special_tokens: bool
    ) -> tuple[tuple[int, ...], int]:
        """Turn text or a conversation into token ids.

        Returns:
            The ids, and the model's context length in tokens.

        Raises:
            ServiceError: See `InferenceService.Tokenize` in inference.proto.

        """
        model = (await self._registry.acquire(model_name, "Tokenize")).model
        with model.used(), model.admitted() as worker:
            if isinstance(text, ChatInput):
                text = (await model.chat.prepare(text, None)).prompt
                add_special_tokens = False  # the template has written them
            least = _least_tokens(text, worker)
            if least > model.folder.context_length:
                raise _too_long("text", least, model.folder.context_length)
            ids = await worker.encode(text, add_special_tokens=add_special_tokens)
            return ids, model.folder.context_length

    async def detokenize(
        self, model_name: str, token_ids: tuple[int, ...], *, skip_special_tokens: bool
    ) -> str:
        """Turn token ids into text.

        Raises:
            ServiceError: See `InferenceService.Detokenize` in inference.proto.

        """
        model = (await self._registry.acquire(model_name, "Detokenize")).model
        with model.used(), model.admitted() as worker:
            return await worker.decode(token_ids, skip_special_tokens=skip_special_tokens)


def _check_length(prompt: str | tuple[int, ...], worker: Worker, context_length: int) -> None:
    """Refuse what can't fit before the worker spends time on it, which its streams would miss.

    Raises:
        ContextLengthExceeded: The prompt is longer than the context, whatever its tokens are.

    """
    least = _least_tokens(prompt, worker) if isinstance(prompt, str) else len(prompt)
    if least >= context_length:
        raise _too_long("prompt", least, context_length)


def _least_tokens(text: str, worker: Worker) -> int:
    """Return how many tokens a text has if each is the longest there is."""
    return -(-len(text.encode()) // worker.longest_token_bytes)


def _too_long(what: str, least: int, context_length: int) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"the model's context holds {context_length} tokens; the {what} has at least {least}",
        prompt_tokens=least,
        context_length=context_length,
    )


def _note(events: Sequence[Event]) -> None:
    """Add what the request's access line is to say."""
    for event in events:
        if isinstance(event, Finished):
            bind_contextvars(
                finish_reason=event.reason.value,
                prompt_tokens=event.prompt_tokens,
                completion_tokens=event.completion_tokens,
            )


def fill_sampling(asked: SamplingParams, model: SamplingDefaults) -> Sampling:
    """Fill what a request leaves open with the model's own defaults, then OpenAI's."""

    def first(*values: float | None, default: float) -> float:
        return next((value for value in values if value is not None), default)

    return Sampling(
        temperature=first(asked.temperature, model.temperature, default=1.0),
        top_p=first(asked.top_p, model.top_p, default=1.0),
        top_k=asked.top_k if asked.top_k is not None else model.top_k,
        min_p=first(asked.min_p, model.min_p, default=0.0),
        seed=asked.seed if asked.seed is not None else secrets.randbits(32),
        presence_penalty=first(asked.presence_penalty, default=0.0),
        frequency_penalty=first(asked.frequency_penalty, default=0.0),
        repetition_penalty=first(asked.repetition_penalty, model.repetition_penalty, default=1.0),
        max_tokens=asked.max_tokens if asked.max_tokens is not None else model.max_tokens,
        min_tokens=asked.min_tokens or 0,
        stop=asked.stop,
        ignore_eos=asked.ignore_eos,
        n=asked.n,
        logprobs=asked.logprobs,
    )
