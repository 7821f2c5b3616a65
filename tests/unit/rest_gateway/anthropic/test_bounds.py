"""Bodies that are wrong in a million places, or in ways that nobody thought of."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rest_gateway.anthropic.content import MAX_BLOCKS
from rest_gateway.anthropic.parameters import PARAMETERS
from rest_gateway.anthropic.schema import MAX_MESSAGES, MessagesRequest, parse_messages
from rest_gateway.anthropic.translate import messages_to_proto
from rest_gateway.openai.errors import ApiError

SIZE = 2_000_000
ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
HEAD = b'{"model":"m","max_tokens":9,'
TEXT = b'{"type":"text","text":"x"}'


def filled(before: bytes, item: bytes, after: bytes) -> bytes:
    return HEAD + before + item + (b"," + item) * (SIZE // (len(item) + 1)) + after


KEYS = b",".join(b'"k%06d":1' % number for number in range(100_000))
BODIES = {
    "numbers": filled(b'"messages":[', b"1", b"]}"),
    "messages": filled(b'"messages":[', b'{"role":"user","content":"x"}', b"]}"),
    "empty messages": filled(b'"messages":[', b"{}", b"]}"),
    "blocks": filled(b'"messages":[{"role":"user","content":[', TEXT, b"]}]}"),
    "empty blocks": filled(b'"messages":[{"role":"assistant","content":[', b"{}", b"]}]}"),
    "results": filled(
        b'"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x",'
        b'"content":[',
        b"1",
        b"]}]}]}",
    ),
    "citations": filled(
        b'"messages":[{"role":"user","content":[{"type":"text","text":"x","citations":[',
        b"1",
        b"]}]}]}",
    ),
    "system": filled(b'"system":[', b"1", b"]}"),
    "tools": filled(b'"tools":[', b"1", b"]}"),
    "callers": filled(b'"tools":[{"allowed_callers":[', b"1", b"]}]}"),
    "examples": filled(b'"tools":[{"input_examples":[', b"1", b"]}]}"),
    "stop sequences": filled(b'"stop_sequences":[', b'""', b"]}"),
    "keys": HEAD + KEYS + b"}",
    "keys in a message": HEAD + b'"messages":[{"role":"user",' + KEYS + b"}]}",
    "keys in metadata": HEAD + b'"metadata":{' + KEYS + b"}}",
}


@pytest.mark.parametrize("name", BODIES)
def test_errors_are_few(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MessagesRequest.model_validate_json(BODIES[name])
    assert caught.value.error_count() <= 5
    with pytest.raises(ApiError) as said:
        parse_messages(BODIES[name])
    assert len(said.value.message) < 300


def test_limits_themselves_are_accepted() -> None:
    turns = [ASK["messages"][0]] * MAX_MESSAGES  # type: ignore[index]
    blocks = [{"role": "user", "content": [json.loads(TEXT)] * MAX_BLOCKS}]
    for messages in (turns, blocks):
        parse_messages(json.dumps(ASK | {"messages": messages}).encode())


_WORDS = [
    *("type", "text", "role", "user", "assistant", "content", "tool_use", "tool_result", "id"),
    *("thinking", "signature", "name", "input", "tool_use_id", "input_schema", "budget_tokens"),
    *("enabled", "auto", "tool", "format", "json_schema", "schema", "effort", "low", "m"),
]
_JSON = st.recursive(
    st.one_of(
        st.sampled_from(_WORDS),
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(codec="utf-8"), max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(changes=st.dictionaries(st.sampled_from(sorted(PARAMETERS)), _JSON, max_size=3))
def test_any_json_is_taken_or_refused(changes: dict[str, Any]) -> None:
    with contextlib.suppress(ApiError):
        messages_to_proto(parse_messages(json.dumps(ASK | changes).encode()))
