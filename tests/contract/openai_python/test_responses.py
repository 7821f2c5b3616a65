"""Responses by OpenAI's own client, which checks each type; the fake engine says what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pydantic
import pytest
from openai.types.responses import Response

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
TIME: Any = {"type": "function", "name": "time", "parameters": {"type": "object"}, "strict": None}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
BOTH = CALL + '\n<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'


class Place(pydantic.BaseModel):
    city: str
    people: int


async def create(gpt: openai.AsyncOpenAI, **ask: Any) -> Response:
    return await gpt.responses.create(model="echo", **ask)


async def stream(gpt: openai.AsyncOpenAI, **ask: Any) -> Response:
    async with gpt.responses.stream(model="echo", **ask) as events:
        return await events.get_final_response()


Get = Callable[..., Awaitable[Response]]
both_ways = pytest.mark.parametrize("get", [create, stream])


@both_ways
async def test_text(gpt: openai.AsyncOpenAI, get: Get) -> None:
    response = await get(gpt, input="Grüezi, “you”\n!", metadata={"a": "b"})
    assert response.output_text == "Grüezi, “you”\n!"
    assert response.status == "completed"
    assert response.metadata == {"a": "b"}
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.output_tokens > 0


@both_ways
async def test_cut_off(gpt: openai.AsyncOpenAI, get: Get) -> None:
    ask = {"input": "one two three four five six", "max_output_tokens": 3}
    if get is stream:
        kinds = []
        async with gpt.responses.stream(model="echo", **ask) as events:  # type: ignore[call-overload]
            async for event in events:
                kinds.append(event.type)
                last = event
        assert kinds[-1] == "response.incomplete"
        response = last.response
    else:
        response = await get(gpt, **ask)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"


async def test_deltas_are_the_text(gpt: openai.AsyncOpenAI) -> None:
    snapshot = ""
    async with gpt.responses.stream(model="echo", input="one two three") as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                snapshot += event.delta
                assert event.snapshot == snapshot
    assert snapshot == "one two three"
    assert (await events.get_final_response()).output_text == snapshot


async def test_raw_stream(gpt: openai.AsyncOpenAI) -> None:
    events = [
        event
        async for event in await gpt.responses.create(
            model="echo",
            input="Hi",
            stream=True,
            include=["message.output_text.logprobs"],
            stream_options={"include_obfuscation": True},
        )
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    last = events[-1]
    assert last.type == "response.completed"
    message = last.response.output[0]
    assert message.type == "message"
    part = message.content[0]
    assert part.type == "output_text"
    assert part.logprobs
    assert b"".join(bytes(one.bytes) for one in part.logprobs) == b"Hi"


@both_ways
async def test_reasoning(gpt: openai.AsyncOpenAI, get: Get, api: Any) -> None:
    async def ask(**values: Any) -> Response:
        client = gpt.with_options()
        if get is stream:
            async with client.responses.stream(model=api.thinker, **values) as events:
                return await events.get_final_response()
        return await client.responses.create(model=api.thinker, **values)

    said = "<think>Who knows?</think>I do."
    response = await ask(input=said, reasoning={"effort": "low", "summary": "auto"})
    thought, message = response.output
    assert thought.type == "reasoning"
    assert thought.content
    assert thought.content[0].text == "Who knows?"
    assert message.type == "message"
    assert response.output_text == "I do."
    assert response.usage
    assert response.usage.output_tokens_details.reasoning_tokens > 0
    again = await ask(input="And?", previous_response_id=response.id)
    assert again.output_text == "And?"


@both_ways
async def test_tools_there_and_back(gpt: openai.AsyncOpenAI, get: Get) -> None:
    said: list[Any] = [{"role": "user", "content": "I look. " + BOTH}]
    response = await get(gpt, input=said, tools=[WEATHER, TIME])
    message, weather, time = response.output
    assert message.type == "message"
    assert weather.type == "function_call"
    assert time.type == "function_call"
    assert (weather.name, weather.arguments) == ("weather", '{"city": "Zürich"}')
    assert weather.call_id != time.call_id
    results: list[Any] = [
        {"type": "function_call_output", "call_id": weather.call_id, "output": "18°"},
        {"type": "function_call_output", "call_id": time.call_id, "output": "no clock"},
        {"role": "user", "content": "And?"},
    ]
    # Either the client sends it all again, as objects or as dictionaries, or it names the response.
    for ask in (
        {"input": [*said, *response.output, *results]},
        {"input": [*said, *(item.to_dict() for item in response.output), *results]},
        {"input": [*said, *(item.model_dump() for item in response.output), *results]},
        {"input": results, "previous_response_id": response.id},
    ):
        answer = await get(gpt, tools=[WEATHER, TIME], **ask)
        assert answer.output_text == "And?"


async def test_parse(gpt: openai.AsyncOpenAI) -> None:
    place = '{"city": "Zürich", "people": 448664}'
    response = await gpt.responses.parse(model="echo", input=place, text_format=Place)
    assert response.output_parsed == Place(city="Zürich", people=448664)
    async with gpt.responses.stream(model="echo", input=place, text_format=Place) as events:
        streamed = await events.get_final_response()
    assert streamed.output_parsed == response.output_parsed


async def test_kept(gpt: openai.AsyncOpenAI) -> None:
    response = await create(gpt, input="Hi")
    assert await gpt.responses.retrieve(response.id) == response
    second = await create(gpt, input="And?", previous_response_id=response.id)
    items = await gpt.responses.input_items.list(second.id, limit=2)
    texts = [item.content[0].text async for item in items]  # type: ignore[union-attr]
    assert texts == ["And?", "Hi", "Hi"]
    await gpt.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        await gpt.responses.retrieve(response.id)
    third = await create(gpt, input="So", previous_response_id=second.id)
    assert third.output_text == "So"


async def test_reference(gpt: openai.AsyncOpenAI) -> None:
    response = await create(gpt, input="Hi")
    ids = response.output[0].id
    said: list[Any] = [{"type": "item_reference", "id": ids}, {"role": "user", "content": "And?"}]
    assert (await create(gpt, input=said)).output_text == "And?"


async def test_background(
    gpt: openai.AsyncOpenAI, api: Any, outstanding: Callable[[str], Awaitable[int]]
) -> None:
    long = "word " * 200
    response = await gpt.responses.create(model=api.slow, input=long, background=True)
    assert response.status == "queued"
    running = await _until(gpt, response.id, "in_progress")
    assert running.background
    cancelled = await gpt.responses.cancel(response.id)
    assert cancelled.status == "cancelled"
    await _at_rest(outstanding, api.slow)
    short = await gpt.responses.create(model=api.slow, input="Hi", background=True)
    assert (await _until(gpt, short.id, "completed")).output_text == "Hi"


async def _until(gpt: openai.AsyncOpenAI, response_id: str, status: str) -> Response:
    async with asyncio.timeout(20):
        while (response := await gpt.responses.retrieve(response_id)).status != status:
            assert response.status in {"queued", "in_progress"}
    return response


async def _at_rest(outstanding: Callable[[str], Awaitable[int]], model: str) -> None:
    async with asyncio.timeout(20):
        while await outstanding(model):
            pass


async def test_input_tokens(gpt: openai.AsyncOpenAI) -> None:
    counted = await gpt.responses.input_tokens.count(model="echo", input="one two three")
    response = await create(gpt, input="one two three")
    assert response.usage
    assert counted.input_tokens == response.usage.input_tokens


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        ({"input": "Hi", "previous_response_id": "resp_0"}, "previous_response_id"),
        ({"input": "Hi", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "Hi", "temperature": 3}, "temperature"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]}, "input"),
        ({"input": "Hi", "text": {"verbosity": "low"}}, "text.verbosity"),
        (
            {
                "input": "Hi",
                "text": {
                    "format": {"type": "json_schema", "name": "n", "schema": {"type": 5}},
                },
            },
            "text.format.schema",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals(
    gpt: openai.AsyncOpenAI, ask: dict[str, Any], param: str, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.responses.create(model="echo", stream=stream, **ask)
    assert caught.value.param == param


async def test_no_such_model(gpt: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await gpt.responses.create(model="nobody", input="Hi")
    assert caught.value.code == "model_not_found"


async def test_client_that_leaves_cancels(
    gpt: openai.AsyncOpenAI, api: Any, outstanding: Callable[[str], Awaitable[int]]
) -> None:
    with pytest.raises(openai.APITimeoutError):
        await gpt.responses.create(model=api.slow, input="word " * 200, timeout=0.5)
    await _at_rest(outstanding, api.slow)


async def test_client_that_leaves_a_stream_cancels(
    gpt: openai.AsyncOpenAI, api: Any, outstanding: Callable[[str], Awaitable[int]]
) -> None:
    events = await gpt.responses.create(model=api.slow, input="word " * 200, stream=True)
    async for event in events:
        if event.type == "response.output_text.delta":
            break
    await events.close()
    await _at_rest(outstanding, api.slow)
