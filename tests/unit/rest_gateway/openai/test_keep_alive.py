from __future__ import annotations

import json
from typing import Any

import pytest

from rest_gateway.cohere.rerank import parse_rerank
from rest_gateway.cohere.rerank import request_to_proto as rerank_to_proto
from rest_gateway.openai.chat.schema import parse_chat_completion
from rest_gateway.openai.chat.translate import request_to_proto as chat_to_proto
from rest_gateway.openai.completions.schema import parse_completion
from rest_gateway.openai.completions.translate import request_to_protos
from rest_gateway.openai.embeddings import parse_embeddings
from rest_gateway.openai.embeddings import request_to_proto as embeddings_to_proto
from rest_gateway.openai.errors import ApiError

CHAT = {"model": "m", "prompt": "x"}


def chat(keep_alive: Any) -> Any:
    body = json.dumps(CHAT | {"keep_alive": keep_alive}).encode()
    return chat_to_proto(parse_chat_completion(body))


@pytest.mark.parametrize(
    ("sent", "seconds", "nanos"),
    [
        (300, 300, 0),
        (0, 0, 0),
        (-1, -1, 0),
        (0.25, 0, 250_000_000),
        (-0.5, 0, -500_000_000),
        ("0", 0, 0),
        ("-1", -1, 0),
        ("300", 300, 0),
        ("5m", 300, 0),
        ("1h30m", 5400, 0),
        ("1.5h", 5400, 0),
        (".5s", 0, 500_000_000),
        ("2h0m0.5s", 7200, 500_000_000),
        ("-1m", -60, 0),
        ("+1m", 60, 0),
        ("100ms", 0, 100_000_000),
        ("5us", 0, 5_000),
        ("5µs", 0, 5_000),
        ("5μs", 0, 5_000),
        ("7ns", 0, 7),
        (315_360_000, 315_360_000, 0),
        ("-87600h", -315_360_000, 0),
    ],
)
def test_numbers_and_durations(sent: Any, seconds: int, nanos: int) -> None:
    duration = chat(sent).keep_alive
    assert (duration.seconds, duration.nanos) == (seconds, nanos)


def test_unset_is_unset() -> None:
    assert not chat(None).HasField("keep_alive")
    assert chat(0).HasField("keep_alive")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (True, "invalid_type"),
        ([5], "invalid_type"),
        ({"seconds": 5}, "invalid_type"),
        ("", "invalid_value"),
        ("m", "invalid_value"),
        ("5 m", "invalid_value"),
        ("5m ", "invalid_value"),
        ("5m\n", "invalid_value"),
        ("5d", "invalid_value"),
        ("5m3", "invalid_value"),
        ("--5m", "invalid_value"),
        ("1e3", "invalid_value"),
        ("\u0665m", "invalid_value"),  # a digit, but none of ASCII
        (".", "invalid_value"),
        ("forever", "invalid_value"),
        ("1s" * 33, "invalid_value"),
        (315_360_001, "invalid_value"),
        (-315_360_001, "invalid_value"),
        ("87601h", "invalid_value"),
        (10**400, "invalid_value"),
        (float("nan"), "invalid_value"),
        (float("inf"), "invalid_value"),
        (float("-inf"), "invalid_value"),
    ],
)
def test_what_is_none(sent: Any, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        chat(sent)
    assert (caught.value.code, caught.value.param) == (code, "keep_alive")


def test_every_api_has_it() -> None:
    body = {"model": "m", "keep_alive": "2s"}
    completion = parse_completion(json.dumps(body | {"prompt": ["a", "b"]}).encode())
    embeddings = parse_embeddings(json.dumps(body | {"input": "a"}).encode())
    rerank = parse_rerank(json.dumps(body | {"query": "q", "documents": ["a"]}).encode())
    asked = [
        *request_to_protos(completion),
        embeddings_to_proto(embeddings),
        rerank_to_proto(rerank),
    ]
    assert [request.keep_alive.seconds for request in asked] == [2] * 4
