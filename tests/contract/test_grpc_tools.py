"""Tools and reasoning over the wire; the fake engine says what the user says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from openvino_server.v1 import chat_pb2, inference_pb2

AnyCall = Callable[..., Any]
Code = grpc.StatusCode

USER, ASSISTANT, TOOL = chat_pb2.ROLE_USER, chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_TOOL
AUTO, REQUIRED = chat_pb2.TOOL_CHOICE_MODE_AUTO, chat_pb2.TOOL_CHOICE_MODE_REQUIRED
WEATHER = {
    "name": "weather",
    "parameters_json": '{"type": "object", "properties": {"city": {"type": "string"}}}',
}
TIME = {"name": "time"}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'


def request(text: str, model: str = "echo", **fields: Any) -> inference_pb2.GenerateRequest:
    sampling = fields.pop("sampling", {})
    messages = fields.pop("messages", [{"role": USER, "content": [{"text": text}]}])
    return inference_pb2.GenerateRequest(
        model=model, chat={"messages": messages} | fields, sampling=sampling
    )


async def events_of(client: Any, asked: inference_pb2.GenerateRequest) -> list[Any]:
    call = client.inference.Generate(asked, timeout=20)
    return [event async for response in call for event in response.events]


def calls_in(events: list[Any], index: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Put calls together as clients do, and check the order of their pieces."""
    calls: list[list[str]] = []
    ids: set[str] = set()
    for event in events:
        if event.index != index or not event.HasField("tool_call"):
            continue
        delta = event.tool_call
        if delta.call_index == len(calls):
            assert delta.id
            assert delta.id not in ids
            ids.add(delta.id)
            calls.append([delta.name, ""])
        else:
            assert delta.call_index == len(calls) - 1
            assert not delta.HasField("id")
            assert not delta.HasField("name")
        calls[-1][1] += delta.arguments_json_delta
    return [(name, json.loads(arguments)) for name, arguments in calls]


def text_in(events: list[Any], index: int = 0) -> str:
    return "".join(event.text.text for event in events if event.index == index)


@pytest.mark.parametrize("model", ["echo", "slow"])
async def test_call_is_found_in_the_stream(client: Any, model: str) -> None:
    events = await events_of(client, request("I look. " + CALL, model, tools=[WEATHER, TIME]))
    assert calls_in(events) == [("weather", {"city": "Zürich"})]
    assert text_in(events) == "I look."
    assert events[0].HasField("started")
    assert events[-1].finished.reason == inference_pb2.FINISH_REASON_TOOL_CALLS
    if model == "slow":  # a step at a time: the arguments don't wait for their end
        assert sum(event.HasField("tool_call") for event in events) > 5


async def test_several_calls_unless_there_may_be_one(client: Any) -> None:
    both = CALL + '\n<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'
    tools = [WEATHER, TIME]
    expected = [("weather", {"city": "Zürich"}), ("time", {})]
    events = await events_of(client, request(both, tools=tools))
    assert calls_in(events) == expected
    events = await events_of(client, request(both, tools=tools, parallel_tool_calls=False))
    assert calls_in(events) == expected[:1]


async def test_each_completion_has_its_own_calls(client: Any) -> None:
    asked = request("Here: " + CALL, tools=[WEATHER], sampling={"n": 3})
    events = await events_of(client, asked)
    for index in range(3):
        assert calls_in(events, index) == [("weather", {"city": "Zürich"})]
        assert text_in(events, index) == "Here:"
    ends = [event for event in events if event.HasField("finished")]
    assert sorted(end.index for end in ends) == [0, 1, 2]
    assert {end.finished.reason for end in ends} == {inference_pb2.FINISH_REASON_TOOL_CALLS}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": [WEATHER], "tool_choice": {"mode": chat_pb2.TOOL_CHOICE_MODE_NONE}},
    ],
)
async def test_text_is_left_alone_where_no_tool_is_offered(
    client: Any, fields: dict[str, Any]
) -> None:
    events = await events_of(client, request(CALL, **fields))
    assert text_in(events) == CALL
    assert events[-1].finished.reason == inference_pb2.FINISH_REASON_STOP


async def test_required_call_is_taken(client: Any) -> None:
    choice = {"mode": REQUIRED, "functions": ["weather"]}
    events = await events_of(client, request(CALL, tools=[WEATHER, TIME], tool_choice=choice))
    assert calls_in(events) == [("weather", {"city": "Zürich"})]


HISTORY = [
    {"role": USER, "content": [{"text": "What is the weather?"}]},
    {
        "role": ASSISTANT,
        "tool_calls": [{"id": "c1", "name": "weather", "arguments_json": '{"city": "Bern"}'}],
    },
    {"role": TOOL, "content": [{"text": "sunny"}], "tool_call_id": "c1"},
    {"role": USER, "content": [{"text": "Thanks"}]},
]


async def test_history_of_calls_is_rendered(client: Any) -> None:
    events = await events_of(client, request("", messages=HISTORY, tools=[WEATHER]))
    assert text_in(events) == "Thanks"
    chat = chat_pb2.ChatInput(messages=HISTORY, tools=[WEATHER])
    tokenize = inference_pb2.TokenizeRequest(model="echo", chat=chat)
    tokens = await client.inference.Tokenize(tokenize, timeout=20)
    assert len(tokens.token_ids) == events[0].started.prompt_tokens
    rendered = bytes(tokens.token_ids).decode()
    for part in ("sunny", '"city": "Bern"', '"weather"'):
        assert part in rendered


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"messages": HISTORY[2:]}, "chat.messages[0].tool_call_id"),
        ({"tools": [{"name": "a b"}]}, "chat.tools[0].name"),
        (
            {"tools": [{"name": "f", "parameters_json": "{"}]},
            "chat.tools[0].parameters_json",
        ),
        (
            {
                "tools": [WEATHER, {"name": "f", "parameters_json": '{"not": {}}'}],
                "tool_choice": {"mode": REQUIRED},
            },
            "chat.tools[1].parameters_json",
        ),
        ({"tool_choice": {"mode": REQUIRED}}, "chat.tool_choice.mode"),
        (
            {"tools": [TIME], "tool_choice": {"mode": AUTO, "functions": ["nope"]}},
            "chat.tool_choice.functions[0]",
        ),
        ({"reasoning_effort": "most"}, "chat.reasoning_effort"),
        ({"template_kwargs_json": '{"messages": []}'}, "chat.template_kwargs_json"),
        ({"continue_final_message": True}, "chat.continue_final_message"),
    ],
)
async def test_what_is_wrong_is_named(
    client: Any, refusal: AnyCall, fields: dict[str, Any], field: str
) -> None:
    call = client.inference.Generate(request("x", **fields), timeout=20)
    assert await refusal(call) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})


@pytest.fixture(scope="module")
async def thinker(start_service_for_all: AnyCall) -> Any:
    """A client of a model that reasons, and of one that takes no tools."""
    service = await start_service_for_all(
        {
            "thinker": {"reasoning_parser": '"think"'},
            "slow": {"reasoning_parser": '"think"', "fake_step_seconds": 0.005},
            "toolless": {"tool_parser": '"none"'},
        }
    )
    return service.client


@pytest.mark.parametrize("model", ["thinker", "slow"])
async def test_reasoning_is_apart(thinker: Any, model: str) -> None:
    thought = "<think>It is é.</think>\n\nThe answer. " + CALL
    asked = request(thought, model, tools=[WEATHER], sampling={"logprobs": True})
    events = await events_of(thinker, asked)
    assert "".join(event.reasoning.text for event in events) == "It is é."
    assert text_in(events) == "The answer."
    assert calls_in(events) == [("weather", {"city": "Zürich"})]
    usage = events[-1].finished.usage
    assert len("It is é.") <= usage.reasoning_tokens < usage.completion_tokens
    assert any(event.reasoning.logprobs for event in events)


async def test_model_that_takes_no_tools_refuses_them(thinker: Any, refusal: AnyCall) -> None:
    call = thinker.inference.Generate(request("x", "toolless", tools=[TIME]), timeout=20)
    assert await refusal(call) == (Code.UNIMPLEMENTED, "UNSUPPORTED", {"feature": "tools"})
