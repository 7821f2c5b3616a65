"""What the worker takes for granted of the engine, checked on the engine itself."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker import warming
from inference_service.worker.batch import Batch
from inference_service.worker.pipeline import OpenVinoPipeline

CONTEXT = 8192
STEP_TOKENS = 256
BLOCK_TOKENS = 32
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
SAMPLING = frames.Sampling(
    temperature=0.0,
    top_p=1.0,
    top_k=None,
    min_p=0.0,
    seed=7,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    repetition_penalty=1.0,
    max_tokens=24,
    min_tokens=0,
    stop=(),
    ignore_eos=False,
)
SAMPLED = msgspec.structs.replace(SAMPLING, temperature=0.9, top_p=0.95)
SLOW = "(a{1,%d}){1,200}"  # takes most of a second to compile
replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def pipeline(model_dir: Path) -> OpenVinoPipeline:
    """The real engine, where a request's tokens don't depend on what else runs."""
    settings = ModelSettings(reproducible=True, max_num_batched_tokens=STEP_TOKENS)
    return OpenVinoPipeline(str(model_dir), settings, CONTEXT)


@pytest.fixture(scope="module")
def uncached(model_dir: Path) -> OpenVinoPipeline:
    """The same without a prefix cache."""
    settings = ModelSettings(
        reproducible=True, max_num_batched_tokens=STEP_TOKENS, enable_prefix_caching=False
    )
    return OpenVinoPipeline(str(model_dir), settings, CONTEXT)


@pytest.fixture
def batch(pipeline: OpenVinoPipeline) -> Iterator[Batch]:
    yield Batch(pipeline, CONTEXT)
    while pipeline.pending:
        pipeline.step()


def run(batch: Batch, *requests: frames.Submit) -> list[frames.FromWorker]:
    """Run requests to their end; return all that is said, the counts included."""
    messages = [message for request in requests for message in batch.submit(request)]
    waited_for = {request.request_id: request.sampling.n for request in requests}
    deadline = time.monotonic() + 60
    while waited_for:
        assert time.monotonic() < deadline
        news = batch.advance()
        if batch.busy:
            news += batch.step()
        for message in news:
            if isinstance(message, frames.Finished):
                waited_for[message.request_id] -= 1
            if isinstance(message, frames.Rejected) or not waited_for.get(
                getattr(message, "request_id", 0), 1
            ):
                del waited_for[message.request_id]
        messages += news
    return messages


def text_of(messages: list[frames.FromWorker], index: int = 0) -> str:
    deltas = [m for m in messages if isinstance(m, frames.Delta) and m.index == index]
    return "".join(delta.text for delta in deltas)


def finished(messages: list[frames.FromWorker], index: int = 0) -> frames.Finished:
    (found,) = [m for m in messages if isinstance(m, frames.Finished) and m.index == index]
    return found


def steps_to_first_token(messages: list[frames.FromWorker]) -> int:
    steps = 0
    for message in messages:
        if isinstance(message, frames.Delta | frames.Finished):
            return steps + 1
        steps += isinstance(message, frames.Progress)
    raise AssertionError("no token was made")


@pytest.mark.parametrize(
    "sampling",
    [
        SAMPLING,
        SAMPLED,
        replace(SAMPLED, top_k=5, min_p=0.05),
        replace(SAMPLING, repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty=0.5),
    ],
)
def test_logprobs_change_no_text_and_have_every_byte_of_it(
    batch: Batch, sampling: frames.Sampling
) -> None:
    prompt = CHAT.format("Name a colour.")
    plain = run(batch, frames.Submit(1, prompt, sampling))
    messages = run(batch, frames.Submit(2, prompt, replace(sampling, logprobs=True)))
    assert text_of(messages) == text_of(plain)
    logprobs = [p for m in messages if isinstance(m, frames.Delta) for p in m.logprobs]
    assert b"".join(p.token for p in logprobs).decode() == text_of(plain)
    assert all(p.logprob <= 0 for p in logprobs)
    assert len({p.logprob for p in logprobs}) > 3
    ended = finished(messages)
    assert len(logprobs) == ended.completion_tokens - (ended.reason == "stop")


@pytest.mark.parametrize("stop", [(), ("e", "and the")])
def test_each_completion_is_what_it_would_be_alone(batch: Batch, stop: tuple[str, ...]) -> None:
    prompt = CHAT.format("Tell me of the sea.")
    sampling = replace(SAMPLED, stop=stop)
    together = run(batch, frames.Submit(1, prompt, replace(sampling, n=4)))
    for index in range(4):
        alone = run(batch, frames.Submit(2, prompt, replace(sampling, seed=7 + index)))
        assert text_of(together, index) == text_of(alone)
        assert finished(together, index) == replace(
            finished(alone),
            request_id=1,
            index=index,
            cached_tokens=finished(together).cached_tokens,
        )
    assert len({text_of(together, index) for index in range(4)}) > 1


def test_prompt_of_several_completions_is_computed_once(batch: Batch) -> None:
    prompt = tuple(random.Random(1).choices(range(100, 40_000), k=2000))
    sampling = replace(SAMPLING, n=5, max_tokens=1, ignore_eos=True)
    messages = run(batch, frames.Submit(1, prompt, sampling))
    assert steps_to_first_token(messages) == 8
    assert batch.steps == 8 + 1
    assert finished(messages, 4).cached_tokens == 0


def test_account_of_the_prefix_cache_agrees_with_the_steps_taken(batch: Batch) -> None:
    prompt = tuple(random.Random(2).choices(range(100, 40_000), k=2000))
    once = replace(SAMPLING, max_tokens=1, ignore_eos=True)
    cold = run(batch, frames.Submit(1, prompt, once))
    assert cold[0] == frames.Started(1, 2000, 0)
    assert steps_to_first_token(cold) == 8
    again = run(batch, frames.Submit(2, prompt, once))
    assert again[0] == frames.Started(2, 2000, 1999)
    assert steps_to_first_token(again) == 1
    half = run(batch, frames.Submit(3, prompt[:1000] + tuple(range(200, 1200)), once))
    cached = 1000 - 1000 % BLOCK_TOKENS
    assert half[0] == frames.Started(3, 2000, cached)
    assert steps_to_first_token(half) == -(-(2000 - cached) // STEP_TOKENS)


def test_next_turn_finds_the_completion_in_the_cache_to_the_token(
    batch: Batch, pipeline: OpenVinoPipeline
) -> None:
    """Were the last block's beginning not shared, a step more would be needed."""
    first = tuple(random.Random(3).choices(range(100, 40_000), k=40))
    sampling = replace(SAMPLING, max_tokens=5, ignore_eos=True, logprobs=True)
    messages = run(batch, frames.Submit(1, first, sampling))
    made = [p.token_id for m in messages if isinstance(m, frames.Delta) for p in m.logprobs]
    computed = (*first, *made[:-1])
    new = tuple(random.Random(4).choices(range(100, 40_000), k=STEP_TOKENS))
    once = replace(SAMPLING, max_tokens=1, ignore_eos=True)
    messages = run(batch, frames.Submit(2, computed + new, once))
    assert messages[0] == frames.Started(2, len(computed) + STEP_TOKENS, len(computed))
    assert steps_to_first_token(messages) == 1


def test_without_a_prefix_cache_nothing_is_cached(uncached: OpenVinoPipeline) -> None:
    prompt = CHAT.format("Tell me of the sea.")
    for _ in range(2):
        messages = run(Batch(uncached, CONTEXT), frames.Submit(1, prompt, replace(SAMPLED, n=2)))
        assert messages[0].cached_tokens == 0
        assert finished(messages, 1).cached_tokens == 0


def test_cancel_midway_through_a_prompt_leaves_nothing_wrong_in_the_cache(
    batch: Batch, uncached: OpenVinoPipeline
) -> None:
    """The engine would keep a block that is computed in part, as the streams take some tokens."""
    prompt = tuple(random.Random(5).choices(range(100, 40_000), k=514))
    sampling = replace(SAMPLING, max_tokens=8, ignore_eos=True, logprobs=True)
    endless = replace(SAMPLING, max_tokens=None, ignore_eos=True)
    streams = range(10, 15)
    for request_id in streams:
        batch.submit(frames.Submit(request_id, "Talk.", endless))
    for _ in range(2):
        batch.step()
    batch.submit(frames.Submit(1, prompt, sampling))
    batch.step()
    batch.cancel(1)
    assert all(getattr(m, "request_id", 0) != 1 for _ in range(4) for m in batch.step())
    for request_id in streams:
        batch.cancel(request_id)
    batch.step()
    request = frames.Submit(2, prompt, sampling)
    assert text_of(run(batch, request)) == text_of(run(Batch(uncached, CONTEXT), request))


FORMS = [
    frames.Grammar("regex", "(yes|no)"),
    frames.Grammar("ebnf", 'root ::= "ab" | "cd"'),
    frames.Grammar("json_schema", json.dumps({"type": "boolean"})),
    frames.Grammar(
        "structural_tag",
        json.dumps({"type": "structural_tag", "format": {"type": "const_string", "value": "hey"}}),
    ),
]


@pytest.mark.parametrize("grammar", FORMS, ids=lambda grammar: grammar.kind)
@pytest.mark.parametrize("logprobs", [False, True])
def test_completion_ends_by_itself_when_its_form_is_whole(
    batch: Batch, grammar: frames.Grammar, logprobs: bool
) -> None:
    sampling = replace(SAMPLED, logprobs=logprobs, n=2)
    prompt = CHAT.format("Say something.")
    messages = run(batch, frames.Submit(1, prompt, sampling, grammar))
    forms = {"regex": {"yes", "no"}, "ebnf": {"ab", "cd"}, "structural_tag": {"hey"}}
    for index in range(2):
        assert text_of(messages, index) in forms.get(grammar.kind, {"true", "false"})
        assert finished(messages, index).reason == "stop"


def test_form_ends_with_any_of_several_end_tokens(
    batch: Batch, pipeline: OpenVinoPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline._configs._defaults, "stop_token_ids", {0, 1, 2})
    messages = run(batch, frames.Submit(1, CHAT.format("Hi"), SAMPLING, FORMS[0]))
    assert text_of(messages) in {"yes", "no"}
    assert finished(messages).reason == "stop"


def test_streams_go_on_while_a_slow_grammar_is_compiled(batch: Batch) -> None:
    endless = replace(SAMPLING, max_tokens=None, ignore_eos=True)
    batch.submit(frames.Submit(1, CHAT.format("Talk."), endless))
    batch.step()
    slow = frames.Grammar("regex", SLOW % 200)
    for request_id in (2, 3):
        began = time.monotonic()
        assert batch.submit(frames.Submit(request_id, "x", SAMPLING, slow)) == []
        messages = batch.advance()
        steps = 0
        while not messages:
            messages = [m for m in batch.step() if isinstance(m, frames.Started)]
            steps += 1
        took = time.monotonic() - began
        assert messages[0].request_id == request_id
        if request_id == 2:
            compiled_in = took
            assert steps >= 3
        else:
            assert steps == 0  # it has been compiled
        began = time.monotonic()
        assert any(isinstance(m, frames.Delta) and m.request_id == request_id for m in batch.step())
        assert time.monotonic() - began < compiled_in / 2  # the step didn't compile it again
    for request_id in (1, 2, 3):
        batch.cancel(request_id)


def test_grammar_that_does_not_compile_is_refused_and_harms_no_other(batch: Batch) -> None:
    prompt = CHAT.format("Tell me of the sea.")
    broken = frames.Submit(2, prompt, SAMPLING, frames.Grammar("json_schema", '{"type": 5'))
    messages = run(batch, frames.Submit(1, prompt, SAMPLING), broken)
    (rejected,) = [m for m in messages if isinstance(m, frames.Rejected)]
    assert (rejected.request_id, rejected.metadata) == (2, {"field": "constraint"})
    assert text_of(messages) == text_of(run(batch, frames.Submit(3, prompt, SAMPLING)))


def test_compiler_is_renewed_before_its_cache_grows_large(
    batch: Batch, pipeline: OpenVinoPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    grammar = frames.Grammar("regex", "(one|two)")
    run(batch, frames.Submit(1, "x", SAMPLING, grammar))
    assert not pipeline.needs_compiling(grammar)
    monkeypatch.setattr(warming, "_RENEW_AFTER_SECONDS", 0.0)
    other = run(batch, frames.Submit(2, "x", SAMPLING, frames.Grammar("regex", "(six|ten)")))
    assert text_of(other) in {"six", "ten"}
    assert pipeline.needs_compiling(grammar)
    assert text_of(run(batch, frames.Submit(3, "x", SAMPLING, grammar))) in {"one", "two"}
