"""OpenAI's client makes responses of the real model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from benchmarks.server import LocalServer

MODEL = "reproducible"
QUESTION = "What is the capital of France? Answer in one sentence."
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def gpt(server: LocalServer) -> AsyncIterator[openai.AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(verify=server.ssl_context())
    async with openai.AsyncOpenAI(
        base_url=server.base_url,
        api_key=server.api_key,
        http_client=http,
        max_retries=0,
        timeout=60,
        _strict_response_validation=True,
    ) as client:
        yield client


async def test_a_response_is_what_a_chat_completion_says(gpt: openai.AsyncOpenAI) -> None:
    chat = await gpt.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=24,
    )
    whole = await gpt.responses.create(
        model=MODEL, input=QUESTION, temperature=0, max_output_tokens=24
    )
    assert whole.output_text == chat.choices[0].message.content
    assert "Paris" in whole.output_text
    assert whole.usage is not None
    assert chat.usage is not None
    assert whole.usage.output_tokens == chat.usage.completion_tokens
    async with gpt.responses.stream(
        model=MODEL, input=QUESTION, temperature=0, max_output_tokens=24
    ) as stream:
        pieces = [e.delta async for e in stream if e.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert len(pieces) > 5
    assert "".join(pieces) == final.output_text == whole.output_text


async def test_a_conversation_goes_on(gpt: openai.AsyncOpenAI) -> None:
    first = await gpt.responses.create(
        model=MODEL, input=QUESTION, temperature=0, max_output_tokens=24
    )
    second = await gpt.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        input="Say that again.",
        temperature=0,
        max_output_tokens=24,
    )
    told = await gpt.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "Say that again."},
        ],
        temperature=0,
        max_tokens=24,
    )
    assert second.output_text == told.choices[0].message.content
    assert second.usage is not None
    assert second.usage.input_tokens_details.cached_tokens > 0


async def test_a_required_call_is_of_its_schema(gpt: openai.AsyncOpenAI) -> None:
    response = await gpt.responses.create(
        model=MODEL,
        input="How warm is it in Oslo?",
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=200,
        temperature=0,
    )
    (call,) = response.output
    assert call.type == "function_call"
    arguments = json.loads(call.arguments)
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in {"celsius", "fahrenheit"}


class Country(BaseModel):
    name: str
    continent: Literal["Africa", "America", "Asia", "Europe", "Oceania"]


async def test_an_answer_is_parsed(gpt: openai.AsyncOpenAI) -> None:
    response = await gpt.responses.parse(
        model=MODEL,
        input="Tell of France as JSON.",
        text_format=Country,
        max_output_tokens=200,
        temperature=0,
    )
    assert isinstance(response.output_parsed, Country)
