"""Anthropic's client gets real text, calls and forms; the text is what OpenAI's client gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import anthropic
import openai
import pydantic
import pytest

from benchmarks.server import LocalServer
from tests.integration.conftest import REPRODUCIBLE

MESSAGES: Any = [
    {"role": "user", "content": "What is the capital of France? Answer in one sentence."}
]
ASK: Any = {"model": REPRODUCIBLE, "messages": MESSAGES, "max_tokens": 24}
LIKELIEST: Any = {"extra_body": {"temperature": 0}}


@pytest.fixture(scope="module")
def claude(server: LocalServer) -> Iterator[anthropic.Anthropic]:
    http = anthropic.DefaultHttpxClient(verify=server.ssl_context())
    with anthropic.Anthropic(
        base_url=server.env["ANTHROPIC_BASE_URL"],
        api_key=server.env["ANTHROPIC_API_KEY"],
        http_client=http,
    ) as client:
        yield client


def test_text_is_openais(claude: anthropic.Anthropic, server: LocalServer) -> None:
    http = openai.DefaultHttpxClient(verify=server.ssl_context())
    with openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, http_client=http
    ) as client:
        other = client.chat.completions.create(**ASK, temperature=0)
    whole = claude.messages.create(**ASK, **LIKELIEST)
    with claude.messages.stream(**ASK, **LIKELIEST) as stream:
        streamed = stream.get_final_message()
    [block] = whole.content
    assert block.type == "text"
    assert "Paris" in block.text
    assert block.text == other.choices[0].message.content
    assert streamed.content[0].text == block.text  # type: ignore[union-attr]
    assert other.usage
    cached = whole.usage.cache_read_input_tokens or 0
    assert whole.usage.input_tokens + cached == other.usage.prompt_tokens
    assert whole.usage.output_tokens == other.usage.completion_tokens
    counted = claude.messages.count_tokens(model=REPRODUCIBLE, messages=MESSAGES)
    assert counted.input_tokens == other.usage.prompt_tokens


def test_answer_goes_on_from_the_last_turn(claude: anthropic.Anthropic) -> None:
    begun = [*MESSAGES, {"role": "assistant", "content": "The capital of France is"}]
    [block] = claude.messages.create(**ASK | {"messages": begun}, **LIKELIEST).content
    assert block.type == "text"
    assert "Paris" in block.text
    assert "The capital of France is" not in block.text


def test_required_tool_matches_its_schema(claude: anthropic.Anthropic) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "unit": {"enum": ["C", "F"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    }
    tools: Any = [{"name": "weather", "description": "Tells it.", "input_schema": schema}]
    # The model would call on and on.
    choice = {"type": "any", "disable_parallel_tool_use": True}
    ask = ASK | {"max_tokens": 200, "tools": tools, "tool_choice": choice}
    with claude.messages.stream(**ask, **LIKELIEST) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    [block] = message.content
    assert block.type == "tool_use"
    assert block.name == "weather"
    assert block.input.keys() == {"city", "unit"}
    assert block.input["unit"] in {"C", "F"}


class Capital(pydantic.BaseModel):
    city: Literal["Paris", "Rome", "Berlin"]


def test_structured_output(claude: anthropic.Anthropic) -> None:
    parsed = claude.messages.parse(**ASK, **LIKELIEST, output_format=Capital)
    assert isinstance(parsed.parsed_output, Capital)
