import json
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.anthropic.schema import parse_count_tokens, parse_messages
from rest_gateway.anthropic.translate import count_tokens_to_proto, messages_to_proto
from rest_gateway.openai.names import Names

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA = {"type": "object", "properties": {"z": {"maximum": 10**30}, "a": {"const": "é"}}}
WEATHER = {"name": "weather", "input_schema": SCHEMA}


def translated(**values: Any) -> tuple[inference_pb2.GenerateRequest, Names]:
    body = ASK | {"max_tokens": 9} | values
    return messages_to_proto(parse_messages(json.dumps(body).encode()))


def request(**values: Any) -> inference_pb2.GenerateRequest:
    return translated(**values)[0]


def test_least_request() -> None:
    part = chat_pb2.ContentPart(text="Hi")
    message = chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=[part])
    assert request() == inference_pb2.GenerateRequest(
        model="m",
        chat=chat_pb2.ChatInput(messages=[message]),
        sampling=inference_pb2.SamplingParams(max_tokens=9),
    )


def test_sampling() -> None:
    sampling = request(temperature=0, top_p=0.5, top_k=40, stop_sequences=["a", "b"]).sampling
    assert sampling.HasField("temperature")
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0, 0.5, 40)
    assert list(sampling.stop) == ["a", "b"]
    assert not request(top_k=0).sampling.HasField("top_k")


def test_tools() -> None:
    chat = request(tools=[WEATHER | {"description": "d", "strict": True}, WEATHER]).chat
    first, second = chat.tools
    assert (first.name, first.description, first.strict) == ("weather", "d", True)
    # As it came: in the same order, and numbers of any size.
    assert first.parameters_json == json.dumps(SCHEMA, separators=(",", ":"), ensure_ascii=False)
    assert not second.HasField("description")
    assert not second.HasField("strict")
    assert not chat.HasField("tool_choice")
    assert not chat.HasField("parallel_tool_calls")


@pytest.mark.parametrize(
    ("choice", "mode", "functions"),
    [
        ({"type": "auto"}, chat_pb2.TOOL_CHOICE_MODE_AUTO, []),
        ({"type": "any"}, chat_pb2.TOOL_CHOICE_MODE_REQUIRED, []),
        ({"type": "tool", "name": "weather"}, chat_pb2.TOOL_CHOICE_MODE_REQUIRED, ["weather"]),
        ({"type": "none"}, chat_pb2.TOOL_CHOICE_MODE_NONE, []),
    ],
)
def test_tool_choice(choice: Any, mode: Any, functions: list[str]) -> None:
    chat = request(tools=[WEATHER], tool_choice=choice).chat
    assert chat.tool_choice == chat_pb2.ToolChoice(mode=mode, functions=functions)
    assert not chat.HasField("parallel_tool_calls")
    one = request(tools=[WEATHER], tool_choice=choice | {"disable_parallel_tool_use": True}).chat
    assert one.HasField("parallel_tool_calls")
    assert not one.parallel_tool_calls


@pytest.mark.parametrize(
    ("values", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}, "high"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "medium"}}, "medium"),
        ({"output_config": {"effort": "max"}}, "xhigh"),
    ],
)
def test_thinking(values: Any, effort: str | None) -> None:
    chat = request(**values).chat
    assert (chat.reasoning_effort if chat.HasField("reasoning_effort") else None) == effort


@pytest.mark.parametrize("by", ["output_config", "output_format"])
def test_output_format(by: str) -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    wanted, names = translated(**{by: {"format": form} if by == "output_config" else form})
    assert json.loads(wanted.constraint.json_schema) == SCHEMA
    path = "output_config.format.schema" if by == "output_config" else "output_format.schema"
    assert names.sent_as("constraint.json_schema") == path


def test_prefill() -> None:
    messages = [*ASK["messages"], {"role": "assistant", "content": "Hel"}]  # type: ignore[misc]
    assert request(messages=messages).chat.continue_final_message
    assert not request().chat.HasField("continue_final_message")


def test_count_of_tokens_is_of_the_same_conversation() -> None:
    values = {"tools": [WEATHER], "system": "s", "thinking": {"type": "disabled"}}
    counted, _ = count_tokens_to_proto(parse_count_tokens(json.dumps(ASK | values).encode()))
    assert counted.model == "m"
    assert counted.chat == request(**values).chat


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("model", "model"),
        ("sampling.max_tokens", "max_tokens"),
        ("sampling.stop[3]", "stop_sequences.3"),
        ("chat.messages", "messages"),
        ("chat.messages[0].content", "system"),
        ("chat.messages[1]", "messages.0"),
        ("chat.messages[2].tool_calls[1].arguments_json", "messages.1.content.2.input"),
        ("chat.messages[2].tool_calls[0].id", "messages.1.content.0.id"),
        ("chat.messages[2].tool_calls[0]", "messages.1.content.0"),
        ("chat.messages[2].tool_calls", "messages.1"),
        ("chat.messages[4].tool_call_id", "messages.2.content.1.tool_use_id"),
        ("chat.messages[4].content[0]", "messages.2.content.1"),
        ("chat.messages[99].content", "messages"),
        ("chat.tools[1].parameters_json", "tools.1.input_schema"),
        ("chat.tools[1].name", "tools.1.name"),
        ("chat.tool_choice", "tool_choice"),
        ("chat.tool_choice.mode", "tool_choice.type"),
        ("chat.tool_choice.functions[0]", "tool_choice.name"),
        ("chat.parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
        ("chat.continue_final_message", "messages"),
        ("chat.reasoning_effort", "thinking"),
    ],
)
def test_names(field: str, sent: str) -> None:
    uses = [
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "text", "text": "and"},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
    ]
    results = [{"type": "tool_result", "tool_use_id": call} for call in "ab"]
    _, names = translated(
        system="s",
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": uses},
            {"role": "user", "content": results},
        ],
    )
    assert names.sent_as(field) == sent
