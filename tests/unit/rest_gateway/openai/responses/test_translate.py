import json
from typing import Any

import pytest
from google.protobuf import json_format
from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.responses.conversation import read_conversation
from rest_gateway.openai.responses.schema import parse_response_request
from rest_gateway.openai.responses.store import ResponseStore, StoreLimits
from rest_gateway.openai.responses.translate import NAMES, chat_to_proto, request_to_proto

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def translate(said: Any = "Hi", **sent: Any) -> inference_pb2.GenerateRequest:
    request = parse_response_request(json.dumps({"model": "m", "input": said} | sent).encode())
    store = ResponseStore(StoreLimits(1, 1, 1))
    items = read_conversation(request, store, "me").items
    return request_to_proto(request, chat_to_proto(request, items))


def said(request: inference_pb2.GenerateRequest) -> list[Any]:
    return [json_format.MessageToDict(message) for message in request.chat.messages]


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def call(call_id: str) -> dict[str, str]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def result(call_id: str) -> dict[str, str]:
    return {"type": "function_call_output", "call_id": call_id, "output": "42"}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "content": [{"type": "reasoning_text", "text": text}]}


def test_what_is_left_out_stays_unset() -> None:
    assert translate() == inference_pb2.GenerateRequest(
        model="m",
        chat=chat_pb2.ChatInput(
            messages=[
                chat_pb2.ChatMessage(
                    role=chat_pb2.ROLE_USER, content=[chat_pb2.ContentPart(text="Hi")]
                )
            ]
        ),
        sampling=inference_pb2.SamplingParams(),
    )


def test_every_parameter() -> None:
    request = translate(
        temperature=0,
        top_p=0.5,
        max_output_tokens=9,
        include=["message.output_text.logprobs"],
        parallel_tool_calls=False,
        reasoning={"effort": "high"},
        tools=[TOOL | {"description": "It f's.", "strict": True}],
        tool_choice="auto",
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "array"}}},
    )
    assert request.sampling == inference_pb2.SamplingParams(
        temperature=0, top_p=0.5, max_tokens=9, logprobs=True
    )
    assert request.constraint.json_schema == '{"type":"array"}'
    assert request.chat.reasoning_effort == "high"
    assert request.chat.parallel_tool_calls is False
    assert list(request.chat.tools) == [
        chat_pb2.Tool(
            name="f", description="It f's.", parameters_json='{"type":"object"}', strict=True
        )
    ]


def test_json_object() -> None:
    request = translate(text={"format": {"type": "json_object"}})
    assert request.constraint.WhichOneof("constraint") == "json_object"
    assert not translate(text={"format": {"type": "text"}}).HasField("constraint")


@pytest.mark.parametrize(
    ("choice", "mode", "functions"),
    [
        ("none", "NONE", []),
        ("required", "REQUIRED", []),
        ({"type": "function", "name": "f"}, "REQUIRED", ["f"]),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
            "AUTO",
            ["f"],
        ),
    ],
)
def test_tool_choice(choice: Any, mode: str, functions: list[str]) -> None:
    chosen = translate(tools=[TOOL], tool_choice=choice).chat.tool_choice
    assert chat_pb2.ToolChoiceMode.Name(chosen.mode) == f"TOOL_CHOICE_MODE_{mode}"
    assert list(chosen.functions) == functions


def test_instructions_come_first() -> None:
    request = translate([{"role": "developer", "content": "D"}], instructions="I")
    assert said(request) == [
        {"role": "ROLE_SYSTEM", "content": parts("I")},
        {"role": "ROLE_DEVELOPER", "content": parts("D")},
    ]


def test_assistants_items_in_a_row_are_one_message() -> None:
    items = [
        {"role": "user", "content": "Q"},
        thought("hm"),
        {"role": "assistant", "content": "Look."},
        call("a"),
        call("b"),
        result("a"),
        result("b"),
        thought("ah"),
        call("c"),
        result("c"),
        {"role": "assistant", "content": "So"},
        {"role": "assistant", "content": "it is."},
    ]
    calls = [{"id": call_id, "name": "f", "argumentsJson": "{}"} for call_id in ("a", "b", "c")]
    assert said(translate(items)) == [
        {"role": "ROLE_USER", "content": parts("Q")},
        {
            "role": "ROLE_ASSISTANT",
            "content": parts("Look."),
            "reasoning": "hm",
            "toolCalls": calls[:2],
        },
        {"role": "ROLE_TOOL", "content": parts("42"), "toolCallId": "a"},
        {"role": "ROLE_TOOL", "content": parts("42"), "toolCallId": "b"},
        {"role": "ROLE_ASSISTANT", "reasoning": "ah", "toolCalls": calls[2:]},
        {"role": "ROLE_TOOL", "content": parts("42"), "toolCallId": "c"},
        {"role": "ROLE_ASSISTANT", "content": parts("So")},
        {"role": "ROLE_ASSISTANT", "content": parts("it is.")},
    ]


def test_thought_that_was_cut_off_is_a_message_without_text() -> None:
    messages = said(translate([thought("hm"), {"role": "user", "content": "Go on"}]))
    assert messages[0] == {"role": "ROLE_ASSISTANT", "content": parts(""), "reasoning": "hm"}


def test_parts_and_refusals() -> None:
    content = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    assert said(translate([{"role": "assistant", "content": content}])) == [
        {"role": "ROLE_ASSISTANT", "content": parts("a", "b")}
    ]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("sampling.max_tokens", "max_output_tokens"),
        ("sampling.top_p", "top_p"),
        ("chat.messages[3].content", "input"),
        ("chat.tools[1].name", "tools[1].name"),
        ("chat.tools[1].parameters_json", "tools[1].parameters"),
        ("chat.reasoning_effort", "reasoning.effort"),
        ("constraint.json_schema", "text.format.schema"),
    ],
)
def test_fields_are_named_as_the_client_sent_them(field: str, name: str) -> None:
    assert NAMES.sent_as(field) == name
