from __future__ import annotations

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
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
