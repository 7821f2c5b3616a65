"""Whether a request can be done at all: its prompt as tokens, and the room for its completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_service.engine import frames
from inference_service.worker.interface import Pipeline, RequestRefused, TextTooLong


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that fits, and the tokens that each completion of it may have."""

    token_ids: Sequence[int]
    max_tokens: int


def admit(
    pipeline: Pipeline, context_length: int, request: frames.Submit
) -> Prompt | frames.Rejected:
    """Turn a request's prompt into tokens, or say why it can't be done.

    Args:
        pipeline: The engine.
        context_length: The most tokens of prompt and completion together.
        request: What was asked.

    """
    if request.adapter is not None and request.adapter not in pipeline.adapters:
        problem = f"the model has no adapter {request.adapter!r}"
        return invalid(request.request_id, "model", problem)
    if request.sampling.temperature > 0 and not pipeline.samples:
        return _not_sampled(request.request_id)
    token_ids: Sequence[int]
    if isinstance(request.prompt, str):
        try:
            token_ids = pipeline.encode(
                request.prompt, add_special_tokens=request.add_special_tokens
            )
        except TextTooLong as error:
            return _too_long(request, error.limit, context_length)
        except RequestRefused as error:
            return invalid(request.request_id, "prompt", str(error))
    else:
        token_ids = request.prompt
        wrong = next((i for i in token_ids if i >= pipeline.vocabulary_size), None)
        if wrong is not None:
            problem = f"{wrong} is not in the vocabulary"
            return invalid(request.request_id, "token_ids.ids", problem)
    if not token_ids:
        return invalid(request.request_id, "prompt", "has no tokens")
    sampling = request.sampling
    prompt_tokens = len(token_ids)
    room = context_length - prompt_tokens
    wanted = sampling.max_tokens
    if room < (wanted or 1):
        return _too_long(request, prompt_tokens, context_length)
    # One that can't fit alone would be given up by the engine midway, and others with it.
    if pipeline.held_tokens(prompt_tokens, room) > pipeline.cache_tokens:
        room = min(room, pipeline.cache_tokens - pipeline.held_tokens(prompt_tokens, 0))
    if room < (wanted or 1):
        return cache_too_small(request.request_id, prompt_tokens)
    if sampling.min_tokens > (wanted or room):
        problem = f"is more than the {wanted or room} tokens that may be generated"
        return invalid(request.request_id, "sampling.min_tokens", problem)
    return Prompt(token_ids, wanted or room)


def _too_long(request: frames.Submit, prompt_tokens: int, context_length: int) -> frames.Rejected:
    metadata: dict[str, int | str] = {
        "prompt_tokens": prompt_tokens,
        "context_length": context_length,
    }
    asked = ""
    if request.sampling.max_tokens:
        metadata["max_tokens"] = request.sampling.max_tokens
        asked = f" and {request.sampling.max_tokens} to generate"
    return frames.Rejected(
        request.request_id,
        "CONTEXT_LENGTH_EXCEEDED",
        f"the model's context holds {context_length} tokens; the prompt has {prompt_tokens}{asked}",
        metadata,
    )


def _not_sampled(request_id: int) -> frames.Rejected:
    return frames.Rejected(
        request_id,
        "UNSUPPORTED",
        "a draft model guesses for this model, and sampling goes wrong with it: ask for a "
        "temperature of 0",
        {"feature": "sampling with a draft model"},
    )


def cache_too_small(request_id: int, prompt_tokens: int) -> frames.Rejected:
    """Say that the key-value cache can't hold a request."""
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
