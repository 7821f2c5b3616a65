from __future__ import annotations

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import Adapter, ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import END_OF_SEQUENCE, LOGPROB, SPECIAL_TOKENS, FakePipeline

CALL = '<|python_tag|>{"name": "é"}'


@pytest.fixture
def pipeline() -> FakePipeline:
    return FakePipeline(ModelSettings(engine="fake"))


def answer(pipeline: FakePipeline, request: frames.Submit) -> list[frames.Delta]:
    batch = Batch(pipeline, 1000)
    batch.submit(request)
    messages = batch.advance()
    while batch.busy:
        messages += batch.step()
    return [message for message in messages if isinstance(message, frames.Delta)]


def test_special_token_is_one_token_and_its_text_is_skipped(pipeline: FakePipeline) -> None:
    token_ids = pipeline.encode(CALL, add_special_tokens=False)
    assert token_ids[0] == SPECIAL_TOKENS["<|python_tag|>"]
    assert END_OF_SEQUENCE not in token_ids
    assert len(token_ids) == 1 + len(CALL.encode()) - len("<|python_tag|>")
    assert pipeline.decode(token_ids, skip_special_tokens=False) == CALL
    assert pipeline.decode(token_ids, skip_special_tokens=True) == '{"name": "é"}'


@pytest.mark.parametrize(
    ("markers", "text"),
    [(("<|python_tag|>", "[ARGS]"), CALL), (("[ARGS]",), '{"name": "é"}'), ((), '{"name": "é"}')],
)
def test_special_tokens_are_echoed_and_seen_where_marked(
    pipeline: FakePipeline, sampling: frames.Sampling, markers: tuple[str, ...], text: str
) -> None:
    prompt = f"user: {CALL}\nassistant:"
    deltas = answer(pipeline, frames.Submit(1, prompt, sampling, None, markers))
    assert "".join(delta.text for delta in deltas) == text


def test_each_token_is_as_likely_as_any(pipeline: FakePipeline, sampling: frames.Sampling) -> None:
    with_logprobs = msgspec.structs.replace(sampling, logprobs=True)
    deltas = answer(pipeline, frames.Submit(1, "hé", with_logprobs))
    assert [p for delta in deltas for p in delta.logprobs] == [
        frames.TokenLogprob(byte, bytes([byte]), LOGPROB) for byte in "hé".encode()
    ]


def test_grammar_is_taken_and_changes_nothing(
    pipeline: FakePipeline, sampling: frames.Sampling
) -> None:
    grammar = frames.Grammar("regex", "yes|no")
    deltas = answer(pipeline, frames.Submit(1, "maybe", sampling, grammar))
    assert "".join(delta.text for delta in deltas) == "maybe"


def test_adapter_is_seen_in_the_answer(sampling: frames.Sampling) -> None:
    settings = ModelSettings(engine="fake", adapters={"x": Adapter(file="x.safetensors")})
    batch = Batch(FakePipeline(settings), 1000)
    for number, adapter in enumerate(("x", None, "x"), 1):
        batch.submit(frames.Submit(number, "user: hey\nassistant:", sampling, adapter=adapter))
    texts: dict[int, str] = {}
    while batch.busy:
        for message in batch.step():
            if isinstance(message, frames.Delta):
                texts[message.request_id] = texts.get(message.request_id, "") + message.text
    assert texts == {1: "x: hey", 2: "hey", 3: "x: hey"}


def test_adapter_that_there_isnt_is_refused(
    pipeline: FakePipeline, sampling: frames.Sampling
) -> None:
    (rejected,) = Batch(pipeline, 1000).submit(frames.Submit(1, "hey", sampling, adapter="x"))
    assert rejected == frames.Rejected(
        1, "INVALID_ARGUMENT", "model: the model has no adapter 'x'", {"field": "model"}
    )


@pytest.mark.parametrize(("asked", "cached"), [(True, [0, 64]), (None, [0, 0])])
def test_account_of_cached_prefixes_is_kept_if_asked_for(
    sampling: frames.Sampling, asked: bool | None, cached: list[int]
) -> None:
    batch = Batch(FakePipeline(ModelSettings(engine="fake", enable_prefix_caching=asked)), 1000)
    seen = []
    for number in (1, 2):
        messages = batch.submit(frames.Submit(number, "x" * 80, sampling))
        while batch.busy:
            messages += batch.step()
        seen += [m.cached_tokens for m in messages if isinstance(m, frames.Started)]
    assert seen == cached
