import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rest_gateway.openai.chat.parameters import PARAMETERS
from rest_gateway.openai.chat.schema import ChatCompletionRequest, parse_chat_completion
from rest_gateway.openai.chat.translate import request_to_proto
from rest_gateway.openai.errors import ApiError

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def parse(**changes: Any) -> ChatCompletionRequest:
    return parse_chat_completion(json.dumps(ASK | changes).encode())


def refused(**changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(**changes)
    assert caught.value.status == 400
    return caught.value


def user(content: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", 2),
        ("temperature", 0.5),
        ("top_p", 1),
        ("presence_penalty", -2),
        ("frequency_penalty", 2),
        ("max_tokens", 1),
        ("max_completion_tokens", 2**32 - 1),
        ("seed", -(2**63)),
        ("seed", 2**63 - 1),
        ("stream", True),
        ("stop", []),
        ("n", 128),
        ("logprobs", True),
        ("reasoning_effort", "high"),
        ("parallel_tool_calls", False),
        ("stop", ["a", "b", "c", "d"]),
        ("user", "u"),
        ("metadata", {"a": "b"}),
    ],
)
def test_accepted(name: str, value: object) -> None:
    assert getattr(parse(**{name: value}), name) == value
    assert getattr(parse(**{name: None}), name) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 5),
        ("model", ""),
        ("model", None),
        ("messages", []),
        ("messages", "Hi"),
        ("temperature", -0.1),
        ("temperature", 2.01),
        ("temperature", "1"),
        ("temperature", True),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0),
        ("top_p", 1.1),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("max_tokens", 0),
        ("max_tokens", 1.0),
        ("max_tokens", True),
        ("max_tokens", 2**32),
        ("seed", 2**63),
        ("seed", 1.5),
        ("seed", "1"),
        ("stream", 1),
        ("stream", "true"),
        ("stop", ""),
        ("stop", ["a", ""]),
        ("stop", list("abcde")),
        ("stop", 5),
        ("stop", ["a", 5]),
        ("user", 5),
        ("n", 0),
        ("n", 129),
        ("n", True),
        ("n", 1.0),
        ("logprobs", 0),
        ("logprobs", 1),
        ("reasoning_effort", "max"),
        ("chat_template_kwargs", "{}"),
        ("add_generation_prompt", False),
        ("metadata", {"a": 5}),
        ("stream_options", {"include_usage": True}),
    ],
)
def test_refused_by_name(name: str, value: object) -> None:
    error = refused(**{name: value})
    assert error.param is not None
    assert error.param.partition(".")[0] == name
    assert error.code in {"invalid_value", "invalid_type"}
    assert name in error.message


def test_missing_model() -> None:
    with pytest.raises(ApiError) as caught:
        parse_chat_completion(b'{"prompt": "Hi"}')
    assert caught.value.param == "model"
    assert caught.value.code == "missing_required_parameter"


def test_messages_or_prompt() -> None:
    assert parse(messages=None, prompt="Hi").prompt == "Hi"
    assert refused(prompt="Hi").param == "messages"
    neither = refused(messages=None)
    assert (neither.param, neither.code) == ("messages", "missing_required_parameter")
    assert neither.message == "Missing required parameter: 'messages'."


def test_stop_text_becomes_a_list() -> None:
    assert parse(stop="END").stop == ["END"]


def test_token_limits_must_agree() -> None:
    assert parse(max_tokens=5, max_completion_tokens=5).max_tokens == 5
    assert refused(max_tokens=5, max_completion_tokens=6).param == "max_tokens"


def test_stream_options() -> None:
    options = parse(stream=True, stream_options={"include_usage": True}).stream_options
    assert options is not None
    assert options.include_usage is True
    assert refused(stream=True, stream_options={"x": 1}).param == "stream_options.x"


def test_unknown_parameters() -> None:
    error = refused(temprature=1)
    assert error.message == "Unrecognized request argument supplied: temprature"
    assert error.param == "temprature"
    assert refused(messages=[{"role": "user", "content": "x", "y": 1}]).param == "messages[0].y"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b'{"model": "\\ud800"}', b'{"model": "\xff"}', b"[" * 100_000]
)
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse_chat_completion(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"'])
def test_what_is_no_object(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse_chat_completion(body)
    assert caught.value.message == "The request's body must be a JSON object."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*PARAMETERS, "other"])


@settings(deadline=None)  # the time a machine under load takes says nothing
@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_json_is_parsed_or_refused(changes: dict[str, object]) -> None:
    # Any other exception would be a 500.
    with contextlib.suppress(ApiError):
        request_to_proto(parse_chat_completion(json.dumps(ASK | changes).encode()))
