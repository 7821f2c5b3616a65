from __future__ import annotations

import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.cohere.rerank import (
    PARAMETERS,
    RerankRequest,
    answer_to_cohere,
    parse_rerank,
    request_to_proto,
)
from rest_gateway.openai.errors import ApiError


def parse(**fields: Any) -> RerankRequest:
    ask = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}]}
    return parse_rerank(json.dumps({**ask, **fields}).encode())


def test_a_request() -> None:
    assert request_to_proto(parse(top_n=1)) == inference_pb2.RerankRequest(
        model="m", query="q", documents=["a", "b"], top_n=1
    )
    assert not request_to_proto(parse()).HasField("top_n")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"query": ""}, "query", "invalid_value"),
        ({"query": None}, "query", "invalid_type"),
        ({"documents": []}, "documents", "invalid_value"),
        ({"documents": ["a", ""]}, "documents[1]", "invalid_value"),
        ({"documents": ["a", 1]}, "documents[1]", "invalid_type"),
        ({"documents": [{"title": "a"}]}, "documents[0].title", "unknown_parameter"),
        ({"documents": [{}]}, "documents[0].text", "missing_required_parameter"),
        ({"documents": ["a"] * 1025}, "documents", "invalid_value"),
        ({"top_n": 0}, "top_n", "invalid_value"),
        ({"top_n": True}, "top_n", "invalid_type"),
        ({"return_documents": 1}, "return_documents", "invalid_type"),
        ({"max_tokens_per_doc": 4096}, "max_tokens_per_doc", "unsupported_parameter"),
        ({"max_chunks_per_doc": 1}, "max_chunks_per_doc", "unsupported_parameter"),
        ({"rank_fields": ["title"]}, "rank_fields", "unsupported_parameter"),
        ({"instruction": "x"}, "instruction", "unknown_parameter"),
    ],
)
def test_wrong_requests(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(**fields)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


def test_what_asks_for_nothing_is_taken() -> None:
    nothing = parse(max_tokens_per_doc=None, rank_fields=["text"], user="u", priority=3)
    assert request_to_proto(nothing) == request_to_proto(parse())


def test_every_field_has_its_row() -> None:
    refused = {name for name, parameter in PARAMETERS.items() if parameter.support == "refused"}
    assert RerankRequest.model_fields.keys() == PARAMETERS.keys() - refused


@pytest.mark.parametrize("with_documents", [True, False, None])
def test_an_answer(with_documents: bool | None) -> None:
    answer = inference_pb2.RerankResponse(
        results=[
            inference_pb2.RerankResult(index=1, relevance_score=0.75),
            inference_pb2.RerankResult(index=0, relevance_score=0),
        ],
        prompt_tokens=9,
    )
    body = json.loads(answer_to_cohere(answer, parse(return_documents=with_documents), "rerank-1"))
    results = [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.0}]
    if with_documents:
        results[0]["document"], results[1]["document"] = {"text": "b"}, {"text": "a"}
    assert body == {
        "id": "rerank-1",
        "results": results,
        "meta": {
            "api_version": {"version": "2"},
            "tokens": {"input_tokens": 9, "output_tokens": 0},
        },
        "model": "m",
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }
