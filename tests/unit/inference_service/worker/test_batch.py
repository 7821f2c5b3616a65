from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import FakePipeline
from inference_service.worker.interface import (
    CacheTooSmall,
    Output,
    RequestRefused,
    TextTooLong,
)

CONTEXT = 10
replace = msgspec.structs.replace


class GivenUp:
    """A generation that got no key-value cache."""

    cancelled = False

    def read(self) -> list[Output]:
        raise CacheTooSmall

    def cancel(self) -> None:
        self.cancelled = True


class StubbornPipeline(FakePipeline):
    """A fake pipeline that refuses as OpenVINO's does, by the prompt's first letter."""

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.given_up = GivenUp()

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        if text.startswith("long"):
            raise TextTooLong(4)
        return super().encode(text, add_special_tokens=add_special_tokens)

    def add(self, request_id: int, token_ids: Sequence[int], *rest: Any) -> Any:
        if bytes(token_ids).startswith(b"refuse"):
            raise RequestRefused("min_new_tokens must be 0")
        generation = super().add(request_id, token_ids, *rest)
        return self.given_up if bytes(token_ids).startswith(b"cache") else generation


@pytest.fixture
def batch() -> Batch:
    return Batch(FakePipeline(ModelSettings(engine="fake")), CONTEXT)


def run(batch: Batch, *requests: frames.Submit) -> list[frames.FromWorker]:
    """Run requests to their end; return all messages but the counts."""
    messages = [message for request in requests for message in batch.submit(request)]
    messages += batch.advance()
    while batch.busy:
        messages += [m for m in batch.step() if not isinstance(m, frames.Progress)]
    return messages


class SmallCache(FakePipeline):
    """A fake pipeline whose cache holds fewer tokens than the context."""

    cache_tokens = 6


def test_what_can_never_fit_the_cache_is_refused(sampling: frames.Sampling) -> None:
    """The engine would give it up midway, and with it others that run beside it."""
    batch = Batch(SmallCache(ModelSettings(engine="fake")), CONTEXT)
    endless = replace(sampling, ignore_eos=True)
    fits = run(batch, frames.Submit(1, "xxx", replace(endless, max_tokens=3)))
    assert fits[-1] == frames.Finished(1, 0, "length", 3, 3, None, 0)
    for request in (
        frames.Submit(2, "xxx", replace(endless, max_tokens=4)),
        frames.Submit(3, "xxxxxx", endless),
    ):
        (rejected,) = run(batch, request)
        assert rejected.reason == "KV_CACHE_EXHAUSTED"
    # Without a number of its own, a request ends where the cache does.
    assert run(batch, frames.Submit(4, "xxxx", endless))[-1].completion_tokens == 2


def test_more_tokens_than_there_is_room_for_are_no_minimum(
    batch: Batch, sampling: frames.Sampling
) -> None:
    (rejected,) = run(batch, frames.Submit(1, "xxxx", replace(sampling, min_tokens=7)))
    assert rejected.metadata == {"field": "sampling.min_tokens"}


class Forgetful(FakePipeline):
    """A fake pipeline that drops its requests in the second step, and does not say so."""

    steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == 2:
            self._running.clear()
        super().step()


def test_what_the_engine_drops_silently_is_rejected(sampling: frames.Sampling) -> None:
    batch = Batch(Forgetful(ModelSettings(engine="fake")), CONTEXT)
    messages = run(batch, frames.Submit(1, "xxx", sampling))
    assert messages[-1].reason == "KV_CACHE_EXHAUSTED"
    assert not batch.busy


def text_of(messages: list[frames.FromWorker]) -> str:
    return "".join(m.text for m in messages if isinstance(m, frames.Delta))


def test_answer_is_started_then_text_then_finished(batch: Batch, sampling: frames.Sampling) -> None:
    assert run(batch, frames.Submit(1, "hé", sampling)) == [
        frames.Started(1, 3, 0),
        frames.Delta(1, 0, "h", 1),
        frames.Delta(1, 0, "é", 2),
        frames.Finished(1, 0, "stop", 3, 4, None, 0),
    ]


def test_token_ids_are_taken_as_they_are(batch: Batch, sampling: frames.Sampling) -> None:
    messages = run(batch, frames.Submit(1, tuple(b"ok"), sampling))
    assert text_of(messages) == "ok"


def test_prompt_without_text_has_no_answer(batch: Batch, sampling: frames.Sampling) -> None:
    for ignore_eos in (False, True):
        request = frames.Submit(1, (256,), replace(sampling, ignore_eos=ignore_eos))
        assert run(batch, request)[1:] == [frames.Finished(1, 0, "stop", 1, 1, None, 0)]


def test_end_of_sequence_is_counted(batch: Batch, sampling: frames.Sampling) -> None:
    assert run(batch, frames.Submit(1, "abc", sampling))[-1].completion_tokens == 4
    assert batch.generated_tokens == 4
    assert batch.steps == 4


@pytest.mark.parametrize(("prompt", "max_tokens", "fits"), [(6, 4, True), (6, 5, False)])
def test_context_length_is_the_last_that_is_allowed(
    batch: Batch, sampling: frames.Sampling, prompt: int, max_tokens: int, fits: bool
) -> None:
    limited = replace(sampling, max_tokens=max_tokens, ignore_eos=True)
    messages = run(batch, frames.Submit(1, "x" * prompt, limited))
    if fits:
        assert messages[-1] == frames.Finished(1, 0, "length", prompt, max_tokens, None, 0)
        return
    (rejected,) = messages
    assert rejected.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert rejected.metadata == {
        "prompt_tokens": prompt,
        "context_length": CONTEXT,
        "max_tokens": max_tokens,
    }


@pytest.mark.parametrize(("prompt", "fits"), [(CONTEXT - 1, True), (CONTEXT, False)])
def test_without_max_tokens_there_must_be_room_for_one(
    batch: Batch, sampling: frames.Sampling, prompt: int, fits: bool
) -> None:
    messages = run(batch, frames.Submit(1, "x" * prompt, sampling))
    if fits:
        assert messages[-1] == frames.Finished(1, 0, "length", prompt, 1, None, 0)
        return
    (rejected,) = messages
    assert rejected.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert rejected.metadata == {"prompt_tokens": prompt, "context_length": CONTEXT}


def test_without_max_tokens_the_context_is_filled(batch: Batch, sampling: frames.Sampling) -> None:
    messages = run(batch, frames.Submit(1, "abc", replace(sampling, ignore_eos=True)))
    assert messages[-1] == frames.Finished(1, 0, "length", 3, CONTEXT - 3, None, 0)
    assert text_of(messages) == "abcabca"


@pytest.mark.parametrize(
    ("prompt", "field"), [("", "prompt"), ((), "prompt"), ((1, 999), "token_ids.ids")]
)
def test_prompt_that_cannot_be_used_is_rejected(
    batch: Batch, sampling: frames.Sampling, prompt: str | tuple[int, ...], field: str
) -> None:
    (rejected,) = run(batch, frames.Submit(1, prompt, sampling))
    assert (rejected.reason, rejected.metadata) == ("INVALID_ARGUMENT", {"field": field})


def test_stop_text_ends_the_completion_and_is_not_in_it(
    batch: Batch, sampling: frames.Sampling
) -> None:
    messages = run(batch, frames.Submit(1, "ab.cd", replace(sampling, stop=(".c",))))
    assert text_of(messages) == "ab"
    assert messages[-1] == frames.Finished(1, 0, "stop", 5, 4, ".c", 0)
    assert not batch.busy


def test_stop_text_at_the_last_token_is_a_stop(batch: Batch, sampling: frames.Sampling) -> None:
    limited = replace(sampling, stop=("b",), max_tokens=2)
    assert run(batch, frames.Submit(1, "abc", limited))[-1] == (
        frames.Finished(1, 0, "stop", 3, 2, "b", 0)
    )


def test_text_held_back_for_a_stop_comes_with_the_end(
    batch: Batch, sampling: frames.Sampling
) -> None:
    messages = run(batch, frames.Submit(1, "ab", replace(sampling, stop=("bcd",))))
    assert text_of(messages) == "ab"
    assert messages[-1].matched_stop is None


def test_character_cut_off_by_max_tokens_is_left_out(
    batch: Batch, sampling: frames.Sampling
) -> None:
    messages = run(batch, frames.Submit(1, "a😀", replace(sampling, max_tokens=4)))
    assert text_of(messages) == "a"
    assert messages[-1].completion_tokens == 4


def test_cancelled_request_is_forgotten(batch: Batch, sampling: frames.Sampling) -> None:
    batch.submit(frames.Submit(1, "abc", replace(sampling, ignore_eos=True)))
    assert frames.Delta(1, 0, "a", 1) in batch.step()
    batch.cancel(1)
    assert batch.step() == [frames.Progress(2, 1, 0.0)]
    assert not batch.busy


def test_too_small_a_cache_is_an_error_and_not_an_empty_answer(sampling: frames.Sampling) -> None:
    pipeline = StubbornPipeline()
    batch = Batch(pipeline, CONTEXT)
    started, rejected, *others = run(
        batch, frames.Submit(1, "cache", sampling), frames.Submit(2, "fine", sampling)
    )
    assert started == frames.Started(1, 5, 0)
    rejected = next(m for m in others if isinstance(m, frames.Rejected))
    assert (rejected.request_id, rejected.reason) == (1, "KV_CACHE_EXHAUSTED")
    assert rejected.metadata == {"prompt_tokens": 5}
    assert pipeline.given_up.cancelled
    assert text_of(others) == "fine"  # its neighbour is unharmed


def test_request_that_the_engine_refuses_is_rejected(sampling: frames.Sampling) -> None:
    batch = Batch(StubbornPipeline(), CONTEXT)
    (rejected,) = run(batch, frames.Submit(1, "refuse", sampling))
    assert (rejected.reason, rejected.metadata) == ("INVALID_ARGUMENT", {"field": "sampling"})
    assert "min_new_tokens must be 0" in rejected.message


def test_text_that_the_tokenizer_would_cut_is_too_long(sampling: frames.Sampling) -> None:
    (rejected,) = run(Batch(StubbornPipeline(), CONTEXT), frames.Submit(1, "long", sampling))
    assert rejected.reason == "CONTEXT_LENGTH_EXCEEDED"
    assert rejected.metadata == {"prompt_tokens": 4, "context_length": CONTEXT}
