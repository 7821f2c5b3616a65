"""Anthropic's client gets messages, whole and streamed; the fake engine says what the user says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import pydantic
import pytest
from anthropic.types import Message

HI = [{"role": "user", "content": "Grüße!"}]
ASK: dict[str, Any] = {"model": "echo", "max_tokens": 100, "messages": HI}


def text_of(message: Message) -> str:
    [block] = message.content
    assert block.type == "text"
    return block.text


def test_create(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(**ASK)
    Message.model_validate(message.to_dict(), strict=True)
    assert text_of(message) == "Grüße!"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == len("Grüße!".encode()) + 1  # and the end of sequence
    assert message.usage.cache_read_input_tokens == 0
    assert message._request_id
    assert message._request_id.startswith("req_")


async def test_create_async(async_claude: anthropic.AsyncAnthropic) -> None:
    message = await async_claude.messages.create(**ASK)
    assert text_of(message) == "Grüße!"


def test_stream_of_raw_events(claude: anthropic.Anthropic) -> None:
    with claude.messages.create(**ASK, stream=True) as events:
        types = [event.type for event in events]
    assert types[:2] == ["message_start", "content_block_start"]
    assert set(types[2:-3]) == {"content_block_delta"}
    assert types[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_stream_helper(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "Grüße!" == text_of(final)
    whole = claude.messages.create(**ASK)
    assert final.usage == whole.usage
    assert final.stop_reason == whole.stop_reason


async def test_stream_helper_async(async_claude: anthropic.AsyncAnthropic) -> None:
    async with async_claude.messages.stream(**ASK | {"model": "slow"}) as stream:
        deltas = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert len(deltas) > 3  # as they are generated
    assert "".join(deltas) == "Grüße!" == text_of(final)


def test_stop_sequence(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(**ASK, stop_sequences=["x", "ß"])
    assert text_of(message) == "Grü"
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "ß")
    with claude.messages.stream(**ASK, stop_sequences=["x", "ß"]) as stream:
        streamed = stream.get_final_message()
    assert text_of(streamed) == "Grü"
    assert (streamed.stop_reason, streamed.stop_sequence) == ("stop_sequence", "ß")


def test_max_tokens(claude: anthropic.Anthropic) -> None:
    message = claude.messages.create(**ASK | {"max_tokens": 2})
    assert text_of(message) == "Gr"
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 2)


def test_answer_goes_on_from_the_last_turn(claude: anthropic.Anthropic) -> None:
    begun = [*HI, {"role": "assistant", "content": "So: assistant:"}]
    message = claude.messages.create(**ASK | {"messages": begun})
    assert text_of(message)  # the engine's echo of the prompt, which ends where the turn does
    counted = claude.messages.count_tokens(model="echo", messages=begun)
    assert counted.input_tokens == message.usage.input_tokens


def test_thinking(claude: anthropic.Anthropic) -> None:
    asked = [{"role": "user", "content": "<think>Hm, é.</think>It is."}]
    ask = ASK | {"model": "thinker", "messages": asked, "thinking": {"type": "adaptive"}}
    whole = claude.messages.create(**ask)
    with claude.messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        thought, answer = message.content
        assert thought.type == "thinking"
        assert (thought.thinking, thought.signature) == ("Hm, é.", "")
        assert answer.type == "text"
        assert answer.text == "It is."
        details = message.usage.output_tokens_details
        assert details
        assert 0 < details.thinking_tokens < message.usage.output_tokens
    # And it can be sent back as it came.
    again = [*asked, whole.to_param(), {"role": "user", "content": "Sure?"}]
    assert claude.messages.create(**ask | {"messages": again}).content


class Capital(pydantic.BaseModel):
    city: str
    people: int


def test_structured_output(claude: anthropic.Anthropic) -> None:
    said = '{"city": "Köln", "people": 1000000}'
    ask = ASK | {"messages": [{"role": "user", "content": said}]}
    parsed = claude.messages.parse(**ask, output_format=Capital)
    assert parsed.parsed_output == Capital(city="Köln", people=1_000_000)
    with claude.messages.stream(**ask, output_format=Capital) as stream:
        assert stream.get_final_message().parsed_output == parsed.parsed_output


def test_count_tokens(claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(model="echo", messages=HI)
    assert counted.input_tokens == claude.messages.create(**ASK).usage.input_tokens
    tool: Any = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    for more in ({"system": "Be brief."}, {"tools": [tool]}):
        longer = claude.messages.count_tokens(model="echo", messages=HI, **more)
        created = claude.messages.create(**ASK, **more)
        assert longer.input_tokens == created.usage.input_tokens > counted.input_tokens


async def test_count_tokens_async(async_claude: anthropic.AsyncAnthropic) -> None:
    counted = await async_claude.messages.count_tokens(model="echo", messages=HI)
    assert counted.input_tokens > len("Grüße!")


def test_client_env_is_all_that_it_needs(api: Any) -> None:
    page = (Path(__file__).parents[3] / "docs" / "api" / "messages.md").read_text("utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    program = example.replace("smollm2-135m-instruct", api.model)
    assert program != example
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env | api.env, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("What is the capital of France?", 0), done.stderr


@pytest.mark.parametrize("name", ["api_key", "auth_token"])
def test_key_in_either_header(options: Any, trust: Any, name: str) -> None:
    given = {"api_key": None, "auth_token": None, name: options["api_key"]}
    http = anthropic.DefaultHttpxClient(verify=trust)
    with anthropic.Anthropic(**options | given, http_client=http) as client:
        assert text_of(client.messages.create(**ASK)) == "Grüße!"
