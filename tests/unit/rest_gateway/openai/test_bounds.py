"""Bodies of 8 MB that are wrong in a million places."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from rest_gateway.app import create_app
from rest_gateway.openai.chat.messages import MAX_MESSAGES, MAX_PARTS
from rest_gateway.openai.chat.schema import ChatCompletionRequest
from rest_gateway.openai.completions.schema import CompletionRequest

SIZE = 8_000_000
USER = b'{"role":"user","content":"x"}'


def filled(before: bytes, item: bytes, after: bytes) -> bytes:
    return before + item + (b"," + item) * (SIZE // (len(item) + 1) - 9) + after


def keys(count: int = 500_000) -> bytes:
    return b",".join(b'"k%06d":1' % number for number in range(count))


BODIES = {
    "numbers": filled(b'{"model":"m","prompt":"x","messages":[', b"1", b"]}"),
    "empty": b'{"model":"m","messages":[' + b"{}," * 1_000_000 + b"{}]}",
    "messages": filled(b'{"model":"m","messages":[', USER, b"]}"),
    "parts": filled(b'{"model":"m","messages":[{"role":"user","content":[', b"{}", b"]}]}"),
    "annotations": filled(b'{"model":"m","messages":[{"annotations":[', b"1", b"]}]}"),
    "stop": filled(b'{"model":"m","stop":[', b"1", b"]}"),
    "keys": b'{"model":"m","prompt":"x",' + keys() + b"}",
    "keys in a message": b'{"model":"m","messages":[{' + keys() + b"}]}",
    "tools": filled(b'{"model":"m","prompt":"x","tools":[', b"1", b"]}"),
    "calls": filled(b'{"model":"m","messages":[{"role":"assistant","tool_calls":[', b"1", b"]}]}"),
    "choices": filled(b'{"model":"m","prompt":"x","guided_choice":[', b'""', b"]}"),
    "allowed": filled(
        b'{"model":"m","tool_choice":{"type":"allowed_tools","allowed_tools":{"tools":[',
        b"1",
        b"]}}}",
    ),
    "metadata": b'{"model":"m","prompt":"x","metadata":{' + keys() + b"}}",
}


@pytest.mark.parametrize("name", BODIES)
def test_errors_are_few(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ChatCompletionRequest.model_validate_json(BODIES[name])
    assert caught.value.error_count() <= 5


@pytest.mark.parametrize("item", [b'"x"', b"1", b"-1", b"[1]", b"[]", b"[-1]", b"{}"])
def test_errors_of_prompts_are_few(item: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        CompletionRequest.model_validate_json(filled(b'{"model":"m","prompt":[', item, b"]}"))
    assert caught.value.error_count() <= 5


@pytest.mark.parametrize("name", ["numbers", "empty", "keys"])
async def test_loop_goes_on(config: Any, upstream: Any, keys: Any, key: str, name: str) -> None:
    app = create_app(config.model_copy(update={"max_body_bytes": 9 << 20}), upstream, keys)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        watching = asyncio.create_task(watch())
        response = await client.post(
            "/v1/chat/completions",
            content=BODIES[name],
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        watching.cancel()
    assert response.status_code == 400
    assert len(response.content) < 500
    # It was 25 s; what is left is reading the JSON, some 0.3 s where nothing else runs.
    assert longest < 3


def test_limits_themselves_are_accepted() -> None:
    part = b'{"type":"text","text":"x"}'
    many = b",".join([USER] * MAX_MESSAGES)
    ChatCompletionRequest.model_validate_json(b'{"model":"m","messages":[' + many + b"]}")
    parts = b'{"role":"user","content":[' + b",".join([part] * MAX_PARTS) + b"]}"
    ChatCompletionRequest.model_validate_json(b'{"model":"m","messages":[' + parts + b"]}")
    metadata = b",".join(b'"%d":"x"' % number for number in range(16))
    body = b'{"model":"m","prompt":"x","metadata":{' + metadata + b"}}"
    ChatCompletionRequest.model_validate_json(body)
