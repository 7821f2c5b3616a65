from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.embedding import Tokens, Vectors
from inference_service.worker.embedding_batch import EmbeddingBatch
from inference_service.worker.embedding_fake import DIMENSIONS, FakeEmbeddingModel
from inference_service.worker.interface import RequestRefused


class Recorder(FakeEmbeddingModel):
    """Notes the lengths of the inputs of each step; can't read texts with a `?`."""

    def __init__(self, kind: Any = "embedding") -> None:
        super().__init__(kind, ModelSettings(engine="fake"))
        self.steps: list[list[int]] = []

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[int]]:
        if any("?" in text for text in texts):
            raise RequestRefused("the tokenizer can't read it")
        return super().encode(texts, add_special_tokens=False)

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        self.steps.append([len(tokens.ids) for tokens in batch])
        return super().run(batch)


@pytest.fixture
def model() -> Recorder:
    return Recorder()


@pytest.fixture
def make(model: Recorder) -> Callable[..., EmbeddingBatch]:
    def batch(context_length: int = 1000, **settings: Any) -> EmbeddingBatch:
        return EmbeddingBatch(model, ModelSettings(engine="fake", **settings), context_length)

    return batch


def run(batch: EmbeddingBatch) -> list[Any]:
    answers = []
    while batch.busy:
        *done, progress = batch.step()
        assert isinstance(progress, frames.Progress)
        answers += done
    return answers


def texts(*lengths: int) -> tuple[str, ...]:
    return tuple("x" * length for length in lengths)


def test_inputs_of_like_length_are_computed_together(make: Any, model: Recorder) -> None:
    batch = make(max_num_batched_tokens=40)
    batch.submit(frames.Embed(1, texts(10, 1, 39, 10, 2, 9, 1)))
    (answer,) = run(batch)
    assert answer.prompt_tokens == 72
    assert sorted(map(sorted, model.steps)) == [[1, 1], [2, 9, 10, 10], [39]]


def test_no_step_is_larger_than_allowed_but_for_one_input(make: Any, model: Recorder) -> None:
    batch = make(max_num_batched_tokens=64, max_num_seqs=5)
    lengths = np.random.default_rng(3).integers(1, 100, 200).tolist()
    batch.submit(frames.Embed(1, texts(*lengths)))
    run(batch)
    assert sorted(length for step in model.steps for length in step) == sorted(lengths)
    assert all(len(step) * max(step) <= 64 or len(step) == 1 for step in model.steps)
    assert max(map(len, model.steps)) == 5


def test_vectors_come_in_the_order_of_the_inputs(make: Any) -> None:
    batch = make(max_num_batched_tokens=16)
    inputs = tuple("abcdefghij"[: 1 + i % 10] + str(i) for i in range(50))
    batch.submit(frames.Embed(7, inputs))
    (answer,) = run(batch)
    assert answer.request_id == 7
    plain = Recorder()
    for text, vector in zip(inputs, answer.vectors, strict=True):
        alone = plain.run([Tokens(plain.encode([text])[0])])[0]
        assert np.array_equal(np.frombuffer(vector, dtype="<f4"), alone)
        assert len(vector) == 4 * DIMENSIONS


def test_requests_take_turns_and_share_steps(make: Any, model: Recorder) -> None:
    batch = make(max_num_batched_tokens=10)
    batch.submit(frames.Embed(1, texts(*[5] * 20)))
    batch.submit(frames.Embed(2, texts(9)))
    batch.submit(frames.Embed(3, texts(5)))
    ended = [answer.request_id for answer in run(batch)]
    assert ended == [2, 3, 1]
    assert model.steps[:3] == [[5, 5], [9], [5, 5]]
    assert len(model.steps) == 12, "the third request shares its step with the first"


def test_long_texts_are_tokenized_over_several_steps(make: Any, model: Recorder) -> None:
    batch = make(context_length=1 << 20)
    batch.submit(frames.Embed(1, ("x" * 60_000, "y" * 60_000, "z" * 60_000)))
    batch.submit(frames.Embed(2, ("small",)))
    ended = [answer.request_id for answer in run(batch)]
    assert ended == [2, 1]


@pytest.mark.parametrize(
    ("inputs", "field", "reason"),
    [
        (("fine", "what?"), "texts[1]", "INVALID_ARGUMENT"),
        (((1, 2), (3, 257)), "token_ids[1]", "INVALID_ARGUMENT"),
        (("fine", "x" * 11), "texts[1]", "CONTEXT_LENGTH_EXCEEDED"),
        (((1,) * 11,), "token_ids[0]", "CONTEXT_LENGTH_EXCEEDED"),
        (("",), "texts[0]", "INVALID_ARGUMENT"),
    ],
)
def test_a_bad_input_fails_its_request_alone(
    make: Any, inputs: tuple[Any, ...], field: str, reason: str
) -> None:
    batch = make(context_length=10)
    batch.submit(frames.Embed(1, inputs))
    batch.submit(frames.Embed(2, ("x" * 10,)))
    rejected, answer = run(batch)
    assert (rejected.request_id, rejected.reason, rejected.metadata["field"]) == (1, reason, field)
    assert rejected.message.startswith(field)
    assert answer.request_id == 2


def test_what_is_cancelled_is_not_computed(make: Any, model: Recorder) -> None:
    batch = make(max_num_batched_tokens=4, max_num_seqs=1)
    batch.submit(frames.Embed(1, texts(1, 2, 3)))
    batch.submit(frames.Embed(2, texts(4)))
    batch.step()
    batch.cancel(1)
    batch.cancel(99)
    assert [answer.request_id for answer in run(batch)] == [2]
    assert sum(map(len, model.steps)) == 2


def test_rerank_model_gives_its_own_scores() -> None:
    batch = EmbeddingBatch(Recorder("rerank"), ModelSettings(engine="fake"), 100)
    batch.submit(frames.Rerank(1, "a b", ("b", "a b c", "d")))
    (answer,) = run(batch)
    assert answer == frames.Reranked(1, (0.5, 1.0, 0.0), 3 * 3 + 1 + 5 + 1)


def test_rerank_by_vectors_gives_cosines_from_0(make: Any, model: Recorder) -> None:
    batch = make()
    documents = tuple(map(str, range(20)))
    batch.submit(frames.Rerank(1, "7", documents))
    (answer,) = run(batch)
    rows = model.run([Tokens(ids) for ids in model.encode(documents)])
    assert answer.scores == pytest.approx(np.clip(rows @ rows[7], 0, 1).tolist(), abs=1e-6)
    assert answer.scores[7] == pytest.approx(1)
    assert 0 in answer.scores
    assert answer.prompt_tokens == 10 + 20 + 1


def test_the_tokenizer_gets_texts_together_but_long_ones_alone(
    make: Any, model: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    encode = model.encode

    def note(texts: Sequence[str], **options: Any) -> list[list[int]]:
        calls.append(len(texts))
        return encode(texts, **options)

    monkeypatch.setattr(model, "encode", note)
    batch = make(context_length=1 << 20)
    batch.submit(frames.Embed(1, (*texts(*[1] * 100), "x" * 5000, (1, 2), "y")))
    (answer,) = run(batch)
    assert answer.prompt_tokens == 100 + 5000 + 2 + 1
    assert calls == [64, 36, 1, 1]
