import json
from typing import Any

import pytest

from rest_gateway.openai.chat.messages import Message
from rest_gateway.openai.chat.schema import parse_chat_completion
from rest_gateway.openai.errors import ApiError

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USER = {"role": "user", "content": "Hi"}


def parse(*messages: object) -> list[Message]:
    body = json.dumps({"model": "m", "messages": messages}).encode()
    parsed = parse_chat_completion(body).messages
    assert parsed is not None
    return parsed


def refused(*messages: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(*messages)
    assert caught.value.status == 400
    assert "chat." not in caught.value.message
    return caught.value


def test_content_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    [message] = parse({"role": "user", "content": parts})
    assert message.texts == ["a", "b"]


def test_roles_and_what_answers_hold() -> None:
    parsed = parse(
        {"role": "developer", "content": "d"},
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "name": "Ada", "tool_calls": None},
        {"role": "assistant", "content": "a", "refusal": None, "tool_calls": [], "audio": None},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "function_call": None},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
    )
    assert [message.texts for message in parsed] == [["d"], ["s"], ["u"], ["a"], [], ["42"]]


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({"content": None, "refusal": "no"}, ["no"]),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, ["no"]),
        ({"content": ""}, [""]),
        ({"content": "", "tool_calls": [CALL]}, []),
        ({"content": "so", "tool_calls": [CALL | {"index": 0}]}, ["so"]),
        ({"tool_calls": [CALL]}, []),
        ({"content": "{}", "parsed": {"a": 1}, "annotations": []}, ["{}"]),
    ],
)
def test_what_the_assistant_said(fields: dict[str, Any], texts: list[str]) -> None:
    [_, message] = parse(USER, {"role": "assistant"} | fields)
    assert message.texts == texts


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_has_two_names(name: str) -> None:
    [_, message] = parse(USER, {"role": "assistant", "content": "a", name: "hm"})
    assert message.thought == "hm"
    both = {"reasoning": "hm", "reasoning_content": "hm"}
    assert parse({"role": "assistant", "content": "a"} | both)[0].thought == "hm"
    other = both | {name: "no"}
    error = refused({"role": "assistant", "content": "a"} | other)
    assert error.param == "messages[0].reasoning"


@pytest.mark.parametrize(
    ("content", "param", "code"),
    [
        (5, "content", "invalid_type"),
        ([], "content", "invalid_value"),
        (["x"], "content[0]", "invalid_type"),
        ([{"type": "text"}], "content[0].text", "missing_required_parameter"),
        ([{"type": "text", "text": 5}], "content[0].text", "invalid_type"),
        ([{"type": "text", "text": "a", "refusal": "b"}], "content[0].refusal", "invalid_value"),
        ([{"type": "refusal", "refusal": "b"}], "content[0].type", "invalid_value"),
        ([{"type": "video", "video": "x"}], "content[0].type", "unsupported_parameter"),
    ],
)
def test_bad_content(content: object, param: str, code: str) -> None:
    error = refused({"role": "user", "content": content})
    assert (error.param, error.code) == (f"messages[0].{param}", code)


@pytest.mark.parametrize(
    ("kind", "what"), [("image_url", "images"), ("input_audio", "audio"), ("file", "files")]
)
def test_media_is_refused_clearly(kind: str, what: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": kind, kind: {"url": "x"}}]
    error = refused({"role": "user", "content": parts})
    assert error.param == "messages[0].content[1].type"
    assert error.message.endswith(f"the model takes no {what}.")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "robot", "content": "x"}, "role"),
        ({"content": "x"}, "role"),
        ({"role": "user"}, "content"),
        ({"role": "user", "content": None}, "content"),
        ({"role": "assistant"}, "content"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "content"),
        ({"role": "user", "content": "x", "tool_call_id": "1"}, "tool_call_id"),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, "tool_calls"),
        ({"role": "user", "content": "x", "reasoning": "x"}, "reasoning"),
        ({"role": "user", "content": "x", "refusal": "x"}, "refusal"),
        ({"role": "assistant", "tool_calls": [CALL | {"type": None}]}, "tool_calls[0].type"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "tool_calls[0].type"),
        ({"role": "assistant", "tool_calls": [1]}, "tool_calls[0]"),
    ],
)
def test_bad_messages(message: dict[str, object], field: str) -> None:
    assert refused(USER, message).param == f"messages[1].{field}"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "function", "name": "f", "content": "42"}, "role"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f"}}, "function_call"),
        ({"role": "assistant", "tool_calls": [{"type": "custom"}]}, "tool_calls[0].type"),
    ],
)
def test_what_is_deprecated_is_refused_by_name(message: dict[str, object], field: str) -> None:
    error = refused(USER, message)
    assert (error.param, error.code) == (f"messages[1].{field}", "unsupported_parameter")
