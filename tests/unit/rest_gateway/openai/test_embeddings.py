from __future__ import annotations

import asyncio
import base64
import json
import math
import time
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.embeddings import (
    PARAMETERS,
    EmbeddingsRequest,
    answer_to_openai,
    names_of,
    parse_embeddings,
    request_to_proto,
)
from rest_gateway.openai.errors import ApiError


def parse(**fields: Any) -> EmbeddingsRequest:
    return parse_embeddings(json.dumps({"model": "m", **fields}).encode())


@pytest.mark.parametrize(
    ("given", "texts", "ids"),
    [
        ("a", ["a"], []),
        (["a", "b"], ["a", "b"], []),
        ([1, 2], [], [[1, 2]]),
        ([[1, 2], [3]], [], [[1, 2], [3]]),
    ],
)
def test_every_form_of_input(given: Any, texts: list[str], ids: list[list[int]]) -> None:
    wanted = request_to_proto(parse(input=given))
    assert list(wanted.texts) == texts
    assert [list(entry.ids) for entry in wanted.token_ids] == ids
    assert wanted.model == "m"
    assert not wanted.HasField("dimensions")
    assert request_to_proto(parse(input=given, dimensions=7)).dimensions == 7


@pytest.mark.parametrize(
    ("fields", "param", "code", "said"),
    [
        ({}, "input", "missing_required_parameter", "Missing required parameter"),
        ({"input": None}, "input", "invalid_type", "must be a string, a list of strings"),
        ({"input": {"a": 1}}, "input", "invalid_type", "must be a string, a list of strings"),
        ({"input": [None]}, "input", "invalid_type", "must be a string, a list of strings"),
        ({"input": ""}, "input", "invalid_value", "must not be empty"),
        ({"input": []}, "input", "invalid_value", "must not be empty"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value", "must not be empty"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type", "must be a string"),
        ({"input": [[1], []]}, "input[1]", "invalid_value", "must not be empty"),
        ({"input": [[1], "a"]}, "input[1]", "invalid_type", "must be a list"),
        ({"input": [1, "a"]}, "input[1]", "invalid_type", "must be an integer"),
        ({"input": [True]}, "input[0]", "invalid_type", "must be an integer"),
        ({"input": [1, -1]}, "input[1]", "invalid_value", "must be at least 0"),
        ({"input": ["a"] * 2049}, "input", "invalid_value", "at most 2048 items"),
        ({"input": "a", "dimensions": 0}, "dimensions", "invalid_value", "must be at least 1"),
        ({"input": "a", "dimensions": 2.5}, "dimensions", "invalid_type", "must be an integer"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "invalid_value", "'float'"),
        ({"input": "a", "truncate": True}, "truncate", "unknown_parameter", "Unrecognized"),
    ],
)
def test_wrong_requests(fields: dict[str, Any], param: str, code: str, said: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(**fields)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert said in caught.value.message


def test_every_field_has_its_row() -> None:
    assert EmbeddingsRequest.model_fields.keys() == PARAMETERS.keys()


@pytest.mark.parametrize(
    ("given", "field", "name"),
    [
        ("a", "texts[0]", "input"),
        (["a"], "texts[0]", "input[0]"),
        ([1], "token_ids[0]", "input"),
        ([[1]], "token_ids[0]", "input[0]"),
        ("a", "dimensions", "dimensions"),
    ],
)
def test_errors_name_what_the_client_sent(given: Any, field: str, name: str) -> None:
    assert names_of(parse(input=given)).sent_as(field) == name


async def test_an_answer() -> None:
    vectors = [[0.5, -0.25], [1.0, 0.1]]
    answer = inference_pb2.EmbedResponse(
        embeddings=[inference_pb2.Embedding(values=values) for values in vectors], prompt_tokens=5
    )
    body = json.loads(await answer_to_openai(answer, parse(input="x")))
    assert body["data"][1].pop("embedding") == pytest.approx([1.0, 0.1], abs=1e-7)
    assert body == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]},
            {"object": "embedding", "index": 1},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    asked = parse(input="x", encoding_format="base64")
    packed = json.loads(await answer_to_openai(answer, asked))["data"][0]["embedding"]
    assert base64.b64decode(packed) == b"\x00\x00\x00\x3f\x00\x00\x80\xbe"


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_the_largest_answer_leaves_room_for_others(form: str) -> None:
    values = [math.sin(i) for i in range(384)]
    answer = inference_pb2.EmbedResponse(
        embeddings=[inference_pb2.Embedding(values=values) for _ in range(2048)]
    )
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    started = time.perf_counter()
    body = await answer_to_openai(answer, parse(input="x", encoding_format=form))
    seconds = time.perf_counter() - started
    running.cancel()
    assert len(json.loads(body)["data"]) == 2048
    assert turns >= 30, f"others had {turns} turns in {seconds} s"
