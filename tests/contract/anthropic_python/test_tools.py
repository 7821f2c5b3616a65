"""Tools by Anthropic's client: offered, used, answered; the fake engine says what the user says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from anthropic.types import Message

WEATHER: Any = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TIME: Any = {"name": "time", "input_schema": {"type": "object"}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
BOTH = CALL + '\n<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'


def create(client: anthropic.Anthropic, **ask: Any) -> Message:
    return client.messages.create(**ask)


def stream(client: anthropic.Anthropic, **ask: Any) -> Message:
    with client.messages.stream(**ask) as events:
        return events.get_final_message()


def ask(text: str, **values: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {
        "model": "echo",
        "max_tokens": 300,
        "messages": messages,
        "tools": [WEATHER, TIME],
    } | values


@pytest.mark.parametrize("get", [create, stream])
def test_round_trip(claude: anthropic.Anthropic, get: Callable[..., Message]) -> None:
    asked = ask("I look. " + BOTH)
    message = get(claude, **asked)
    assert message.stop_reason == "tool_use"
    said, weather, time = message.content
    assert said.type == "text"
    assert said.text == "I look."
    assert weather.type == time.type == "tool_use"
    assert (weather.name, weather.input) == ("weather", {"city": "Zürich"})
    assert (time.name, time.input) == ("time", {})
    assert weather.id != time.id

    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": weather.id, "content": "18°"},
        {"type": "tool_result", "tool_use_id": time.id, "content": "no clock", "is_error": True},
        {"type": "text", "text": "And?"},
    ]
    messages = [*asked["messages"], message.to_param(), {"role": "user", "content": results}]
    answer = get(claude, **asked | {"messages": messages})
    assert answer.stop_reason == "end_turn"
    [block] = answer.content
    assert block.type == "text"
    assert block.text == "And?"


def test_input_is_streamed_in_pieces(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(**ask(CALL, model="slow")) as events:
        pieces = [event.partial_json for event in events if event.type == "input_json"]
    assert len(pieces) > 3
    assert "".join(pieces).replace(" ", "") == '{"city":"Zürich"}'


def test_one_tool_at_a_time(claude: anthropic.Anthropic) -> None:
    choice: Any = {"type": "auto", "disable_parallel_tool_use": True}
    message = create(claude, **ask(BOTH, tool_choice=choice))
    assert [block.name for block in message.content if block.type == "tool_use"] == ["weather"]


def test_no_tool(claude: anthropic.Anthropic) -> None:
    message = create(claude, **ask(CALL, tool_choice={"type": "none"}))
    [block] = message.content
    assert block.type == "text"
    assert block.text == CALL


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_required_tool(claude: anthropic.Anthropic, choice: Any) -> None:
    message = create(claude, **ask(CALL, tool_choice=choice))
    assert message.stop_reason == "tool_use"
    [block] = message.content
    assert block.type == "tool_use"
    assert block.input == {"city": "Zürich"}


def test_tool_runner(claude: anthropic.Anthropic) -> None:
    """The SDK's own loop: it runs the tool, and sends its result back."""
    asked: list[str] = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: Where.

        """
        asked.append(city)
        return "sunny"

    runner = claude.beta.messages.tool_runner(
        model="echo",
        max_tokens=300,
        tools=[weather],
        messages=[{"role": "user", "content": CALL}],
        max_iterations=2,
    )
    messages = list(runner)
    assert asked == ["Zürich"]
    assert messages[0].stop_reason == "tool_use"
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"tool_choice": {"type": "tool", "name": "rain"}},
            "tool_choice",
        ),
        ({"tools": [WEATHER, WEATHER]}, "tools.1.name"),
        ({"tools": [WEATHER | {"name": "a b"}]}, "tools.0.name"),
        (
            {"tools": [{"type": "web_search_20260209", "name": "web_search"}]},
            "tools.0.type: tools of type 'web_search_20260209' are not supported",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "tool_result", "tool_use_id": "x", "content": "y"}],
                    }
                ]
            },
            "messages.0.content.0.tool_use_id",
        ),
    ],
)
def test_refusals(claude: anthropic.Anthropic, values: dict[str, Any], said: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        create(claude, **ask("Hi", **values))
    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message
    assert caught.value.api_message.startswith(said)
