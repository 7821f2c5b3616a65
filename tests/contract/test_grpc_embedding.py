from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from openvino_server.v1 import inference_pb2, models_pb2

AnyCall = Callable[..., Any]
Code = grpc.StatusCode
EMBEDDING, RERANK = '"embedding"', '"rerank"'


@pytest.fixture(scope="session")
async def client(start_service_for_all: AnyCall) -> Any:
    """A client of a service with a model of each kind."""
    models = {
        "echo": {},
        "vectors": {"kind": EMBEDDING, "context_length": 100},
        "scores": {"kind": RERANK, "context_length": 100},
        "one-at-a-time": {"kind": EMBEDDING, "max_num_seqs": 1, "fake_step_seconds": 0.05},
    }
    return (await start_service_for_all(models)).client


def embed(client: Any, model: str = "vectors", **fields: Any) -> Any:
    return client.inference.Embed(inference_pb2.EmbedRequest(model=model, **fields), timeout=20)


def rerank(client: Any, model: str = "scores", **fields: Any) -> Any:
    return client.inference.Rerank(inference_pb2.RerankRequest(model=model, **fields), timeout=20)


def token_ids(*lists: list[int]) -> list[inference_pb2.TokenIds]:
    return [inference_pb2.TokenIds(ids=ids) for ids in lists]


async def test_texts_become_vectors_of_unit_length(client: Any) -> None:
    answer = await embed(client, texts=["a", "bc", "a"])
    first, second, third = (list(embedding.values) for embedding in answer.embeddings)
    assert first == third != second
    assert all(math.isclose(math.hypot(*v), 1, abs_tol=1e-6) for v in (first, second))
    assert answer.prompt_tokens == len("abca") + 3  # the fake model's one special token each


async def test_token_ids_are_taken_as_they_are(client: Any) -> None:
    by_ids = await embed(client, token_ids=token_ids([97, 256], [97]))
    by_text = await embed(client, texts=["a"])
    assert by_ids.embeddings[0] == by_text.embeddings[0]
    assert by_ids.embeddings[1] != by_text.embeddings[0]
    assert by_ids.prompt_tokens == 3


async def test_dimensions_keep_the_beginning_at_unit_length(client: Any) -> None:
    whole = list((await embed(client, texts=["a"])).embeddings[0].values)
    short = list((await embed(client, texts=["a"], dimensions=3)).embeddings[0].values)
    length = math.hypot(*whole[:3])
    assert short == pytest.approx([value / length for value in whole[:3]], abs=1e-6)
    assert await embed(client, texts=["a"], dimensions=len(whole)) == await embed(
        client, texts=["a"]
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "texts"),
        ({"texts": ["a"], "token_ids": token_ids([1])}, "texts"),
        ({"texts": ["a", ""]}, "texts[1]"),
        ({"texts": ["a"] * 2049}, "texts"),
        ({"token_ids": token_ids([1], [])}, "token_ids[1].ids"),
        ({"token_ids": token_ids([1], [257])}, "token_ids[1]"),
        ({"texts": ["a"], "dimensions": 0}, "dimensions"),
        ({"texts": ["a"], "dimensions": 9}, "dimensions"),
        ({"texts": ["b", "a" * (1 << 20) + "a"]}, "texts[1]"),
    ],
)
async def test_wrong_embed(
    client: Any, refusal: AnyCall, fields: dict[str, Any], field: str
) -> None:
    refused = await refusal(embed(client, **fields))
    assert refused == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})


async def test_the_longest_input_fits_and_a_longer_one_is_named(
    client: Any, refusal: AnyCall
) -> None:
    assert (await embed(client, texts=["x" * 99])).prompt_tokens == 100
    code, reason, metadata = await refusal(embed(client, texts=["x", "x" * 100]))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
    assert metadata == {"field": "texts[1]", "prompt_tokens": "101", "context_length": "100"}


async def test_rerank_by_a_rerank_model(client: Any) -> None:
    documents = ["red", "blue green", "green", "blue red green"]
    answer = await rerank(client, query="blue green", documents=documents)
    assert [(r.index, r.relevance_score) for r in answer.results] == [
        (1, 1.0),
        (3, 1.0),
        (2, 0.5),
        (0, 0.0),
    ]
    pairs = sum(len("blue green") + 1 + len(document) + 1 for document in documents)
    assert answer.prompt_tokens == pairs
    best = await rerank(client, query="blue green", documents=documents, top_n=2)
    assert list(best.results) == list(answer.results)[:2]
    assert len((await rerank(client, query="x", documents=["y"], top_n=9)).results) == 1


async def test_rerank_by_an_embedding_model_is_by_cosine(client: Any) -> None:
    documents = [f"document {i}" for i in range(8)] + ["a query"]
    answer = await rerank(client, "vectors", query="a query", documents=documents)
    vectors = await embed(client, texts=["a query", *documents])
    query, *others = (list(embedding.values) for embedding in vectors.embeddings)
    cosines = [max(0.0, sum(map(float.__mul__, query, other))) for other in others]
    scores = {result.index: result.relevance_score for result in answer.results}
    assert [scores[i] for i in range(9)] == pytest.approx(cosines, abs=1e-6)
    assert answer.results[0].index == 8
    assert 0.0 in scores.values(), "some cosine is below 0"
    assert answer.prompt_tokens == vectors.prompt_tokens


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "a"}, "documents"),
        ({"query": "a", "documents": ["b", ""]}, "documents[1]"),
        ({"query": "a", "documents": ["b"] * 1025}, "documents"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, "top_n"),
    ],
)
async def test_wrong_rerank(
    client: Any, refusal: AnyCall, fields: dict[str, Any], field: str
) -> None:
    refused = await refusal(rerank(client, **fields))
    assert refused == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})


async def test_a_pair_that_is_too_long_is_named(client: Any, refusal: AnyCall) -> None:
    long = rerank(client, query="q" * 50, documents=["d", "d" * 50])
    _, reason, metadata = await refusal(long)
    assert (reason, metadata["field"]) == ("CONTEXT_LENGTH_EXCEEDED", "documents[1]")


async def test_models_of_another_kind_say_what_they_can_do(client: Any, refusal: AnyCall) -> None:
    for call, feature in (
        (embed(client, "echo", texts=["a"]), "Embed"),
        (embed(client, "scores", texts=["a"]), "Embed"),
        (rerank(client, "echo", query="a", documents=["b"]), "Rerank"),
        (client.generate("hi", "vectors"), "Generate"),
        (client.generate("hi", "scores"), "Generate"),
    ):
        assert await refusal(call) == (
            Code.UNIMPLEMENTED,
            "UNSUPPORTED",
            {"feature": feature, "field": "model"},
        )
    with pytest.raises(grpc.aio.AioRpcError, match="'scores' is a rerank model: it reranks"):
        await embed(client, "scores", texts=["a"])


async def test_models_tell_their_kind(client: Any) -> None:
    models = (await client.models.ListModels(models_pb2.ListModelsRequest())).models
    kinds = {model.name: models_pb2.ModelKind.Name(model.kind) for model in models}
    assert kinds["echo"] == "MODEL_KIND_GENERATION"
    assert kinds["vectors"] == "MODEL_KIND_EMBEDDING"
    assert kinds["scores"] == "MODEL_KIND_RERANK"


async def test_tokens_and_text_of_an_embedding_model(client: Any) -> None:
    for special, ids in ((True, [97, 256]), (False, [97])):
        answer = await client.inference.Tokenize(
            inference_pb2.TokenizeRequest(model="vectors", text="a", add_special_tokens=special)
        )
        assert (list(answer.token_ids), answer.context_length) == (ids, 100)
    text = await client.inference.Detokenize(
        inference_pb2.DetokenizeRequest(model="vectors", token_ids=[97, 256])
    )
    assert text.text == "a<end>"


async def test_a_request_whose_client_left_is_dropped(client: Any) -> None:
    model = "one-at-a-time"
    call = embed(client, model, texts=[str(i) for i in range(1000)])
    await client.replica_when(lambda replica: replica.steps, model)
    call.cancel()
    at_rest = await client.replica_when(lambda replica: not replica.outstanding_requests, model)
    await embed(client, model, texts=["x"])
    after = await client.replica(model)
    assert after.steps <= at_rest.steps + 3, "what was cancelled is not computed"


async def test_a_large_request_holds_up_a_small_one_by_a_step_or_two(client: Any) -> None:
    model = "one-at-a-time"
    large = embed(client, model, texts=[f"text {i}" for i in range(1000)])
    before = await client.replica_when(lambda replica: replica.outstanding_requests, model)
    await embed(client, model, texts=["another"])
    assert (await client.replica(model)).steps <= before.steps + 6
    large.cancel()


async def test_full_queue(start_service: AnyCall, refusal: AnyCall) -> None:
    model = {"kind": EMBEDDING, "max_num_seqs": 1}
    service = await start_service({"m": model}, max_waiting_requests=1)
    hanging = [embed(service.client, "m", texts=["!hang"]) for _ in range(2)]
    await service.client.replica_when(lambda replica: replica.outstanding_requests == 2, "m")
    refused = await refusal(embed(service.client, "m", texts=["a"]))
    assert refused == (Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"model": "m", "limit": "2"})
    for call in hanging:
        call.cancel()


async def test_a_lost_worker_fails_its_requests_and_is_replaced(
    start_service: AnyCall, refusal: AnyCall
) -> None:
    service = await start_service({"m": {"kind": EMBEDDING}})
    lost = (Code.UNAVAILABLE, "WORKER_LOST", {"model": "m"})
    assert await refusal(embed(service.client, "m", texts=["!fail"])) == lost
    ready = models_pb2.MODEL_STATE_READY
    await service.client.replica_when(lambda r: r.restarts == 1 and r.state == ready, "m")
    answers = await asyncio.gather(*(embed(service.client, "m", texts=["a"]) for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
