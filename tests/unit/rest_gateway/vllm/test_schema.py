import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.body import parse
from rest_gateway.openai.errors import ApiError
from rest_gateway.vllm.schema import DetokenizeRequest, TokenizeRequest

USER = [{"role": "user", "content": "Hi"}]


def refused(kind: Any, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(kind, json.dumps({"model": "m"} | fields).encode())
    return caught.value


@pytest.mark.parametrize("name", ["prompt", "content"])
def test_text_has_two_names(name: str) -> None:
    body = json.dumps({"model": "m", name: "Hi", "return_token_strs": False}).encode()
    assert parse(TokenizeRequest, body).text == "Hi"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": "a", "content": "b"}, "content"),
        ({"prompt": "a", "messages": USER}, "messages"),
        ({"prompt": "a", "tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"prompt": "a", "continue_final_message": True}, "continue_final_message"),
        ({"prompt": "a", "return_token_strs": True}, "return_token_strs"),
        ({"messages": USER, "add_special_tokens": True}, "add_special_tokens"),
        ({"messages": USER, "add_generation_prompt": False}, "add_generation_prompt"),
        ({"prompt": "a", "temperature": 1}, "temperature"),
        ({"prompt": "a", "model": None}, "model"),
    ],
)
def test_tokenize_refuses_by_name(fields: dict[str, Any], param: str) -> None:
    error = refused(TokenizeRequest, **fields)
    assert (error.status, error.param) == (400, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "tokens"),
        ({"tokens": "a"}, "tokens"),
        ({"tokens": [-1]}, "tokens[0]"),
        ({"tokens": [1, True]}, "tokens[1]"),
        ({"tokens": [2**32]}, "tokens[0]"),
    ],
)
def test_detokenize_refuses_by_name(fields: dict[str, Any], param: str) -> None:
    error = refused(DetokenizeRequest, **fields)
    assert (error.status, error.param) == (400, param)


def test_names_that_no_model_has() -> None:
    assert refused(DetokenizeRequest, model="x" * 257, tokens=[]).status == 404


def test_bound_is_the_limit_itself() -> None:
    body = b'{"model":"m","tokens":[' + b"1," * ((1 << 20) - 1) + b"1]}"
    wanted = inference_pb2.DetokenizeRequest(token_ids=parse(DetokenizeRequest, body).tokens)
    assert len(wanted.token_ids) == 1 << 20
