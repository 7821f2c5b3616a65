"""Bodies of 8 MB that are wrong in a million places."""

import time

import pytest
from pydantic import ValidationError

from rest_gateway.openai.responses.items import MAX_ITEMS, MAX_PARTS
from rest_gateway.openai.responses.schema import ResponseRequest

SIZE = 8_000_000
USER = b'{"role":"user","content":"x"}'


def filled(before: bytes, item: bytes, after: bytes) -> bytes:
    many = item + (b"," + item) * (SIZE // (len(item) + 1) - 9)
    return b'{"model":"m","input":"x",' + before + many + after + b"}"


def keys(count: int = 500_000) -> bytes:
    return b",".join(b'"k%06d":1' % number for number in range(count))


BODIES = {
    "items": filled(b'"input":[', b"1", b"]"),
    "empty items": filled(b'"input":[', b"{}", b"]"),
    "messages": filled(b'"input":[', USER, b"]"),
    "parts": filled(b'"input":[{"role":"user","content":[', b"{}", b"]}]"),
    "annotations": filled(
        b'"input":[{"role":"user","content":[{"type":"output_text","text":"","annotations":[',
        b"1",
        b"]}]}]",
    ),
    "reasoning": filled(b'"input":[{"type":"reasoning","content":[', b"1", b"]}]"),
    "output": filled(
        b'"input":[{"type":"function_call_output","call_id":"c","output":[', b"1", b"]}]"
    ),
    "keys of an item": filled(b'"input":[{' + keys() + b'}],"include":[', b"1", b"]"),
    "tools": filled(b'"tools":[', b"1", b"]"),
    "allowed": filled(b'"tool_choice":{"type":"allowed_tools","tools":[', b"1", b"]}"),
    "include": filled(b'"include":[', b"1", b"]"),
    "metadata": b'{"model":"m","input":"x","metadata":{' + keys() + b"}}",
    "keys": b'{"model":"m","input":"x",' + keys() + b"}",
}


@pytest.mark.parametrize("name", BODIES)
def test_errors_are_few_and_soon_found(name: str) -> None:
    began = time.process_time()
    with pytest.raises(ValidationError) as caught:
        ResponseRequest.model_validate_json(BODIES[name])
    assert caught.value.error_count() <= 5
    # What takes time is reading the JSON, some 0.3 s.
    assert time.process_time() - began < 3


def test_limits_themselves_are_accepted() -> None:
    many = b",".join([USER] * MAX_ITEMS)
    ResponseRequest.model_validate_json(b'{"model":"m","input":[' + many + b"]}")
    part = b'{"type":"input_text","text":"x"}'
    parts = b'{"role":"user","content":[' + b",".join([part] * MAX_PARTS) + b"]}"
    ResponseRequest.model_validate_json(b'{"model":"m","input":[' + parts + b"]}")
