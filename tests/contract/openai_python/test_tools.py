"""Tools and typed answers by OpenAI's client; the fake engine says what the user says."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic
import pytest


class Weather(pydantic.BaseModel):
    """Asks for the weather."""

    city: str
    days: int


CALL = '<tool_call>\n{"name": "Weather", "arguments": {"city": "Zürich", "days": 2}}\n</tool_call>'
TOOL: Any = openai.pydantic_function_tool(Weather)


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def test_calls(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.chat.completions.create(
        model=api.model, messages=user(CALL), tools=[TOOL], tool_choice="auto"
    )
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "Weather"
    assert json.loads(call.function.arguments) == {"city": "Zürich", "days": 2}
    # The call and its result are the history of the next request.
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "snow"}
    again = await gpt.chat.completions.create(
        model=api.model,
        messages=[*user(CALL), choice.message.model_dump(), result, *user("thanks")],
        tools=[TOOL],
    )
    assert again.choices[0].message.content == "thanks"


async def test_streamed_calls(gpt: openai.AsyncOpenAI, api: Any) -> None:
    stream = await gpt.chat.completions.create(
        model=api.model, messages=user(f"{CALL}\n{CALL}"), tools=[TOOL], stream=True
    )
    calls: list[Any] = []
    reason = None
    async for chunk in stream:
        [choice] = chunk.choices
        reason = choice.finish_reason or reason
        for delta in choice.delta.tool_calls or ():
            assert delta.function is not None
            if delta.index == len(calls):
                assert delta.id
                assert delta.type == "function"
                assert delta.function.name == "Weather"
                assert delta.function.arguments == ""
                calls.append("")
            else:
                assert delta.index == len(calls) - 1
                assert delta.id is None
                assert delta.function.name is None
                calls[-1] += delta.function.arguments
    assert [json.loads(call) for call in calls] == [{"city": "Zürich", "days": 2}] * 2
    assert reason == "tool_calls"


async def test_parse_gives_calls_their_type(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.chat.completions.parse(
        model=api.model, messages=user(CALL), tools=[TOOL], parallel_tool_calls=False
    )
    [call] = answer.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == Weather(city="Zürich", days=2)


async def test_parse_gives_content_its_type(gpt: openai.AsyncOpenAI, api: Any) -> None:
    answer = await gpt.chat.completions.parse(
        model=api.model,
        messages=user('{"city": "Basel", "days": 1}'),
        response_format=Weather,
    )
    assert answer.choices[0].message.parsed == Weather(city="Basel", days=1)


# The client warns of its own object's type when it writes it.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
async def test_what_was_parsed_can_be_sent_again(gpt: openai.AsyncOpenAI, api: Any) -> None:
    called = await gpt.chat.completions.parse(
        model=api.model, messages=user(CALL), tools=[TOOL], response_format=Weather
    )
    typed = await gpt.chat.completions.parse(
        model=api.model, messages=user('{"city": "Basel", "days": 1}'), response_format=Weather
    )
    call = called.choices[0].message
    assert call.tool_calls
    history: Any = [
        call,
        {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "snow"},
        typed.choices[0].message,
        *user("thanks"),
    ]
    answer = await gpt.chat.completions.create(model=api.model, messages=history)
    assert answer.choices[0].message.content == "thanks"


async def test_stream_helper_tells_each_step(gpt: openai.AsyncOpenAI, api: Any) -> None:
    async with gpt.chat.completions.stream(
        model=api.model,
        messages=user('{"city": "Basel", "days": 1}'),
        response_format=Weather,
        logprobs=True,
    ) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done", "logprobs.content.done"} <= set(kinds)
    assert final.choices[0].message.parsed == Weather(city="Basel", days=1)


async def test_stream_helper_tells_of_calls(gpt: openai.AsyncOpenAI, api: Any) -> None:
    async with gpt.chat.completions.stream(
        model=api.model, messages=user(CALL), tools=[TOOL]
    ) as stream:
        events = [event async for event in stream]
    deltas = [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert "".join(delta.arguments_delta for delta in deltas) == done.arguments
    assert done.parsed_arguments == Weather(city="Zürich", days=2)


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "Weather"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "auto",
                "tools": [{"type": "function", "function": {"name": "Weather"}}],
            },
        },
    ],
)
async def test_choices_are_taken(gpt: openai.AsyncOpenAI, api: Any, choice: Any) -> None:
    answer = await gpt.chat.completions.create(
        model=api.model, messages=user(CALL), tools=[TOOL], tool_choice=choice
    )
    [call] = answer.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "Weather"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        (
            {"tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice.function.name",
        ),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
        ),
        ({"tool_choice": "required", "tools": []}, "tool_choice"),
        (
            {"messages": [*user("x"), {"role": "tool", "tool_call_id": "c", "content": "x"}]},
            "messages[1].tool_call_id",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "c",
                                "type": "function",
                                "function": {"name": "f", "arguments": "{"},
                            }
                        ],
                    }
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
async def test_what_is_wrong_is_named(
    gpt: openai.AsyncOpenAI, api: Any, changes: dict[str, Any], param: str
) -> None:
    asked: dict[str, Any] = {"model": api.model, "messages": user("x"), "tools": [TOOL]}
    with pytest.raises(openai.BadRequestError) as caught:
        await gpt.chat.completions.create(**asked | changes)
    assert caught.value.param == param
    assert "chat." not in caught.value.message
