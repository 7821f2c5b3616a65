"""What is wrong is said in words that know nothing of Python."""

import json
from typing import Any

import pytest

from rest_gateway.openai.chat.schema import parse_chat_completion
from rest_gateway.openai.errors import ApiError

ASK = {"model": "m", "prompt": "Hi"}


def refused(**changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse_chat_completion(json.dumps(ASK | changes).encode())
    return caught.value


def user(**fields: object) -> dict[str, Any]:
    return {"prompt": None, "messages": [{"role": "user", "content": "x"} | fields]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": 5}, "Invalid value for 'model': must be a string."),
        ({"model": ""}, "Invalid value for 'model': must not be empty."),
        ({"messages": []}, "Invalid value for 'messages': must not be empty."),
        ({"messages": {}}, "Invalid value for 'messages': must be a list."),
        ({"messages": [5]}, "Invalid value for 'messages[0]': must be an object."),
        (user(content=[]), "Invalid value for 'messages[0].content': must not be empty."),
        (
            user(content=None),
            "Invalid value for 'messages[0].content': must not be null or left out.",
        ),
        (user(annotations=[1]), "Invalid value for 'messages[0].annotations': must be empty."),
        (user(audio={}), "Invalid value for 'messages[0].audio': must be null."),
        ({"stream": 1}, "Invalid value for 'stream': must be true or false."),
        ({"temperature": "1"}, "Invalid value for 'temperature': must be a number."),
        ({"temperature": 3}, "Invalid value for 'temperature': must be at most 2."),
        (
            {"temperature": float("nan")},
            "Invalid value for 'temperature': must be a finite number.",
        ),
        ({"top_p": 0}, "Invalid value for 'top_p': must be greater than 0."),
        ({"min_p": 1}, "Invalid value for 'min_p': must be less than 1."),
        ({"max_tokens": 0}, "Invalid value for 'max_tokens': must be at least 1."),
        ({"max_tokens": 1.5}, "Invalid value for 'max_tokens': must be an integer."),
        ({"seed": 2**63}, "Invalid value for 'seed': must be at most 9223372036854775807."),
        ({"metadata": 5}, "Invalid value for 'metadata': must be an object."),
        (
            {"store": True},
            "Unsupported parameter: 'store': it is not supported; it may only be false: "
            "completions are not kept; responses are.",
        ),
        ({"response_format": {}}, "Missing required parameter: 'response_format.type'."),
        (
            {"response_format": {"type": "xml"}},
            "Invalid value for 'response_format.type': "
            "must be 'text', 'json_object' or 'json_schema'.",
        ),
    ],
)
def test_messages(changes: dict[str, Any], message: str) -> None:
    assert refused(**changes).message == message


def test_what_is_repeated_is_shortened() -> None:
    long = "x" * 5_000
    part = [{"type": long, "text": "x"}]
    for changes in ({long: 1}, {"metadata": {long: 5}}, user(**{long: 1}), user(content=part)):
        error = refused(**changes)
        assert len(error.message) < 300
        assert len(error.param or "") < 150
        assert "x" * 100 + "…" in error.message


def test_names_that_no_model_has() -> None:
    parse_chat_completion(json.dumps(ASK | {"model": "x" * 256}).encode())
    error = refused(model="x" * 257)
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert error.message == f"The model '{'x' * 100}…' does not exist."
