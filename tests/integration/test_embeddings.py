"""A real embedding model, by the official client and over the rerank routes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from openvino_server.v1 import inference_pb2, inference_pb2_grpc

from benchmarks.server import LocalServer
from tests.integration.conftest import EMBEDDING, MODEL

TEXTS = [
    "A man is eating food.",
    "Someone is having a meal.",
    "The stock market fell sharply today.",
    "Shares lost much of their value this afternoon.",
    "naïve café 😀 中文",
    "word " * 200,
]
LONGEST = 256  # of the model's sentence_bert_config.json


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(verify=server.ssl_context())
    with openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http, max_retries=0
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def rest(server: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=server.base_url.removesuffix("/v1"),
        headers={"authorization": f"Bearer {server.api_key}"},
        verify=server.ssl_context(),
        timeout=60,
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(embedding_dir: Path) -> Callable[[str], np.ndarray]:
    """The vector of a text by the model's definition: another tokenizer, exact arithmetic."""
    import openvino as ov
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(embedding_dir / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    model = ov.Core().compile_model(embedding_dir / "openvino_model.xml", "CPU", exact)

    def embed(text: str) -> np.ndarray:
        ids = np.array([tokenizer.encode(text).ids])
        ones, zeros = np.ones_like(ids), np.zeros_like(ids)
        hidden = model({"input_ids": ids, "attention_mask": ones, "token_type_ids": zeros})[0]
        mean = hidden[0].mean(axis=0)
        return mean / np.linalg.norm(mean)

    return embed


def vectors_of(answer: openai.types.CreateEmbeddingResponse) -> np.ndarray:
    assert [entry.index for entry in answer.data] == list(range(len(answer.data)))
    return np.array([entry.embedding for entry in answer.data])


def test_vectors_are_those_of_the_models_definition(
    client: openai.OpenAI, reference: Callable[[str], np.ndarray]
) -> None:
    answer = client.embeddings.create(model=EMBEDDING, input=TEXTS)
    vectors = vectors_of(answer)
    assert vectors.shape == (len(TEXTS), 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    expected = np.array([reference(text) for text in TEXTS])
    assert ((vectors * expected).sum(axis=1) > 0.995).all()
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 200
    assert answer.model == EMBEDDING


def test_similar_sentences_are_near(client: openai.OpenAI) -> None:
    eating, meal, market, shares, *_ = vectors_of(
        client.embeddings.create(model=EMBEDDING, input=TEXTS)
    )
    assert min(eating @ meal, market @ shares) > 0.5
    assert max(eating @ market, eating @ shares, meal @ market, meal @ shares) < 0.2


def test_every_form_of_request_and_answer_gives_the_same_vector(
    client: openai.OpenAI, rest: httpx.Client
) -> None:
    text = TEXTS[0]
    (expected,) = vectors_of(client.embeddings.create(model=EMBEDDING, input=text))
    ask = {"model": EMBEDDING, "encoding_format": "float"}
    (as_floats,) = vectors_of(client.embeddings.create(input=[text], **ask))
    raw = rest.post("/v1/embeddings", json={**ask, "input": text, "encoding_format": "base64"})
    as_bytes = np.frombuffer(base64.b64decode(raw.json()["data"][0]["embedding"]), dtype="<f4")
    for other in (as_floats, as_bytes):
        assert other == pytest.approx(expected, abs=1e-6)


async def test_token_ids_give_the_vector_of_their_text(client: openai.OpenAI, channel) -> None:
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    tokenized = await stub.Tokenize(
        inference_pb2.TokenizeRequest(model=EMBEDDING, text=TEXTS[0], add_special_tokens=True)
    )
    assert tokenized.context_length == LONGEST
    ids = list(tokenized.token_ids)
    text = await stub.Detokenize(
        inference_pb2.DetokenizeRequest(model=EMBEDDING, token_ids=ids, skip_special_tokens=True)
    )
    assert text.text == "a man is eating food."
    by_text = client.embeddings.create(model=EMBEDDING, input=TEXTS[0])
    for ids_input in (ids, [ids]):
        by_ids = client.embeddings.create(model=EMBEDDING, input=ids_input)
        assert vectors_of(by_ids) == pytest.approx(vectors_of(by_text), abs=1e-6)
        assert by_ids.usage == by_text.usage


def test_dimensions_keep_the_beginning(client: openai.OpenAI) -> None:
    (whole,) = vectors_of(client.embeddings.create(model=EMBEDDING, input=TEXTS[0]))
    (short,) = vectors_of(client.embeddings.create(model=EMBEDDING, input=TEXTS[0], dimensions=100))
    expected = whole[:100] / np.linalg.norm(whole[:100])
    assert short == pytest.approx(expected, abs=1e-5)


async def test_vectors_do_not_depend_on_what_else_is_computed(server: LocalServer) -> None:
    http = openai.DefaultAsyncHttpxClient(verify=server.ssl_context())
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http
    ) as client:

        async def embed(texts: list[str]) -> np.ndarray:
            return vectors_of(await client.embeddings.create(model=EMBEDDING, input=texts))

        alone = np.concatenate([await embed([text]) for text in TEXTS])
        crowd = [f"Number {i}: " + "and so on " * (i % 40) for i in range(100)]
        together = await asyncio.gather(
            embed(crowd), embed(TEXTS), *(embed([text]) for text in TEXTS)
        )
    for vectors in (together[1], np.concatenate(together[2:])):
        assert (1 - (alone * vectors).sum(axis=1)).max() < 1e-3


def test_a_large_batch_is_whole(client: openai.OpenAI) -> None:
    texts = [f"{i % 97}" for i in range(2048)]
    vectors = vectors_of(client.embeddings.create(model=EMBEDDING, input=texts))
    assert vectors.shape == (2048, 384)
    assert (1 - (vectors[:97] * vectors[97 * 20 : 97 * 21]).sum(axis=1)).max() < 1e-3


@pytest.mark.parametrize(
    ("ask", "param", "code"),
    [
        ({"input": ["a", "word " * LONGEST]}, "input[1]", "context_length_exceeded"),
        ({"input": "word " * LONGEST}, "input", "context_length_exceeded"),
        ({"input": "a", "dimensions": 385}, "dimensions", "invalid_value"),
        ({"input": [30522]}, "input", "invalid_value"),
        ({"input": "a", "model": MODEL}, "model", "unsupported"),
    ],
)
def test_what_cannot_be_done_is_named(
    client: openai.OpenAI, ask: dict[str, object], param: str | None, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(**{"model": EMBEDDING, **ask})
    assert (caught.value.param, caught.value.code) == (param, code)


def test_an_embedding_model_does_not_chat(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="is an embedding model: it embeds") as caught:
        client.chat.completions.create(
            model=EMBEDDING, messages=[{"role": "user", "content": "hello"}]
        )
    assert caught.value.param == "model"


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_rerank_finds_the_document_that_answers(rest: httpx.Client, path: str) -> None:
    documents = [
        "The recipe needs two eggs and a cup of flour.",
        "Paris is the capital and largest city of France.",
        {"text": "Berlin is the capital of Germany."},
    ]
    ask = {"model": EMBEDDING, "query": "What is the capital of France?", "documents": documents}
    answer = rest.post(path, json={**ask, "top_n": 2, "return_documents": True})
    assert answer.status_code == 200, answer.text
    body = json.loads(answer.text)
    assert [result["index"] for result in body["results"]] == [1, 2]
    assert body["results"][0]["document"] == {"text": documents[1]}
    scores = [result["relevance_score"] for result in body["results"]]
    assert 1 > scores[0] > scores[1] > 0
    assert body["usage"]["total_tokens"] == body["meta"]["tokens"]["input_tokens"] > 20
