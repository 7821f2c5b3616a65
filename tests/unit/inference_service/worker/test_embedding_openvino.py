"""Models with random weights, built of OpenVINO operations, with a real WordPiece tokenizer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from openvino_tokenizers import convert_tokenizer
from transformers import BertTokenizer

from inference_service.engine import frames
from inference_service.engine.process import LoadRefusedError
from inference_service.engine.settings import ModelSettings
from inference_service.engine.worker import Worker
from inference_service.worker.embedding import Tokens
from inference_service.worker.embedding_openvino import OpenVinoEmbeddingModel, pool

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["red", "green", "blue", "##ish", "a", "probe"]
WIDTH = 4
RNG = np.random.default_rng(7)
TABLE = RNG.normal(size=(len(SPECIAL + WORDS), WIDTH)).astype(np.float32)
TYPES = RNG.normal(size=(2, WIDTH)).astype(np.float32)
HEAD = RNG.normal(size=(WIDTH, 1)).astype(np.float32)
CLS, SEP = 2, 3


def parameters(*names: str) -> dict[str, Any]:
    made = {name: ops.parameter([-1, -1], np.int64, name=name) for name in names}
    for name, parameter in made.items():
        parameter.output(0).set_names({name})
    return made


def hidden_of(inputs: dict[str, Any]) -> Any:
    """The vector of each token is that of its id plus that of its type."""
    by_id = ops.gather(ops.constant(TABLE), inputs["input_ids"], ops.constant(0))
    by_type = ops.gather(ops.constant(TYPES), inputs["token_type_ids"], ops.constant(0))
    return ops.add(by_id, by_type)


def vectors(inputs: dict[str, Any]) -> Any:
    return hidden_of(inputs)


def scores(inputs: dict[str, Any], head: np.ndarray = HEAD) -> Any:
    """The score is a linear function of the mean over the tokens."""
    mask = ops.unsqueeze(ops.convert(inputs["attention_mask"], "f32"), ops.constant(2))
    total = ops.reduce_sum(ops.multiply(hidden_of(inputs), mask), ops.constant(1))
    mean = ops.divide(total, ops.reduce_sum(mask, ops.constant(1)))
    return ops.matmul(mean, ops.constant(head), False, False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Give a function that writes a model's folder."""

    def make(build: Callable[[dict[str, Any]], Any], *more_inputs: str) -> str:
        inputs = parameters("input_ids", "attention_mask", "token_type_ids", *more_inputs)
        result = build(inputs)
        ov.save_model(
            ov.Model([ops.result(result)], list(inputs.values())),
            tmp_path / "openvino_model.xml",
            compress_to_fp16=False,
        )
        (tmp_path / "vocab.txt").write_text("\n".join(SPECIAL + WORDS))
        bert = BertTokenizer.from_pretrained(str(tmp_path))
        tokenizer, detokenizer = convert_tokenizer(bert, with_detokenizer=True)
        ov.save_model(tokenizer, tmp_path / "openvino_tokenizer.xml")
        ov.save_model(detokenizer, tmp_path / "openvino_detokenizer.xml")
        return str(tmp_path)

    return make


@pytest.fixture
async def start(write: Callable[..., str]) -> Any:
    """Give a function that starts a real worker process, which is stopped after the test."""
    running: list[Worker] = []

    async def begin(folder: str, kind: Any, **settings: Any) -> Worker:
        load = frames.Load(folder, ModelSettings(**settings), 8, kind)
        worker = await Worker.start("m", load, timeout_seconds=60)
        running.append(worker)
        return worker

    yield begin
    for worker in running:
        await worker.stop()


def ids(text: str) -> list[int]:
    return [(SPECIAL + WORDS).index(word) for word in text.split()]


def expected_score(query: str, document: str) -> float:
    first, second = [CLS, *ids(query), SEP], [*ids(document), SEP]
    rows = np.concatenate([TABLE[first] + TYPES[0], TABLE[second] + TYPES[1]])
    return float(1 / (1 + np.exp(-(rows.mean(axis=0) @ HEAD)[0])))


async def test_a_cross_encoder_scores_pairs(
    write: Callable[..., str], start: Callable[..., Awaitable[Worker]]
) -> None:
    worker = await start(write(scores), "rerank", reproducible=True)
    assert worker.dimensions is None
    documents = ("green", "red green blue", "blue blue")
    answer = await worker.rerank("red", documents)
    expected = [expected_score("red", document) for document in documents]
    assert answer.scores == pytest.approx(expected, abs=1e-4)
    assert len(set(answer.scores)) == 3
    assert answer.prompt_tokens == sum(4 + len(document.split()) for document in documents)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
async def test_vectors_by_each_pooling(
    write: Callable[..., str], start: Callable[..., Awaitable[Worker]], pooling: str
) -> None:
    worker = await start(write(vectors), "embedding", pooling=pooling, reproducible=True)
    assert worker.dimensions == WIDTH
    texts = ("red", "red green blue", "greenish")
    answer = await worker.embed((*texts, (7, 8)))
    tokens = [[CLS, *ids(text), SEP] for text in (*texts[:2], "green ##ish")]
    for row, token_ids in zip(answer.vectors, [*tokens, [7, 8]], strict=True):
        hidden = TABLE[token_ids] + TYPES[0]
        place = {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        expected = place / np.linalg.norm(place)
        assert np.frombuffer(row, dtype="<f4") == pytest.approx(expected, abs=1e-4)
    assert answer.prompt_tokens == sum(map(len, tokens)) + 2


async def test_tokens_and_text(
    write: Callable[..., str], start: Callable[..., Awaitable[Worker]]
) -> None:
    worker = await start(write(vectors), "embedding", pooling="mean")
    assert await worker.encode("Red greenish", add_special_tokens=True) == (2, 5, 6, 8, 3)
    assert await worker.encode("Red", add_special_tokens=False) == (5,)
    assert await worker.decode((2, 5, 6, 8, 3), skip_special_tokens=True) == "red greenish"


@pytest.mark.parametrize(
    ("build", "more", "kind", "message"),
    [
        (vectors, ["beam_idx"], "embedding", "inputs of another kind: beam_idx"),
        (scores, [], "embedding", "no output with a vector for each token"),
        (vectors, [], "rerank", "no output with a score"),
        (lambda i: scores(i, np.ones((WIDTH, 3), np.float32)), [], "rerank", "3 scores for a pair"),
        (
            lambda i: ops.divide(vectors(i), ops.constant(np.float32(0))),
            [],
            "embedding",
            "not finite",
        ),
    ],
)
async def test_models_of_another_kind_are_refused(
    write: Callable[..., str], start: Any, build: Any, more: list[str], kind: str, message: str
) -> None:
    with pytest.raises(LoadRefusedError, match=message):
        await start(write(build, *more), kind, pooling="mean")


def test_padding_changes_nothing(write: Callable[..., str]) -> None:
    settings = ModelSettings(pooling="mean", reproducible=True)
    model = OpenVinoEmbeddingModel(write(vectors), "embedding", settings)
    short, long = Tokens([5, 6]), Tokens([5, 6, 7, 8, 9])
    together = model.run([short, long])
    assert together[0] == pytest.approx(model.run([short])[0], abs=1e-6)
    assert together[1] == pytest.approx(model.run([long])[0], abs=1e-6)


def test_pooling_leaves_padding_out() -> None:
    hidden = np.array([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    mask = np.array([[1, 1, 0]])
    assert pool(hidden, mask, "mean").tolist() == [[0.5, 1.0]]
    assert pool(hidden, mask, "cls").tolist() == [[1.0, 0.0]]
    assert pool(hidden, mask, "last").tolist() == [[0.0, 2.0]]
