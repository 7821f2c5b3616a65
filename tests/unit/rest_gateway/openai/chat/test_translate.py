from typing import Any

import pytest
from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.chat.schema import ChatCompletionRequest
from rest_gateway.openai.chat.translate import request_to_proto


def translated(**fields: Any) -> inference_pb2.GenerateRequest:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | fields
    return request_to_proto(ChatCompletionRequest.model_validate(fields))


def test_length_has_two_names() -> None:
    assert translated(max_tokens=9).sampling.max_tokens == 9
    assert translated(max_completion_tokens=3).sampling.max_tokens == 3
    assert not translated().sampling.HasField("max_tokens")


def test_prompt_is_one_message_of_the_user() -> None:
    assert translated(messages=None, prompt="Hi") == translated()


def test_messages() -> None:
    request = translated(
        messages=[
            {"role": "developer", "content": "d"},
            {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"], "name": "A"},
        ]
    )
    part, message = chat_pb2.ContentPart, chat_pb2.ChatMessage
    assert list(request.chat.messages) == [
        message(role=chat_pb2.ROLE_DEVELOPER, content=[part(text="d")]),
        message(role=chat_pb2.ROLE_USER, content=[part(text="a"), part(text="b")], name="A"),
    ]


def test_several_completions_and_logprobs() -> None:
    sampling = translated(n=3, logprobs=True).sampling
    assert sampling == inference_pb2.SamplingParams(n=3, logprobs=True)
    assert translated(logprobs=False) == translated()


def test_history_with_calls() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    request = translated(
        messages=[
            {"role": "assistant", "tool_calls": [call], "reasoning_content": "hm"},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ]
    )
    assert list(request.chat.messages) == [
        chat_pb2.ChatMessage(
            role=chat_pb2.ROLE_ASSISTANT,
            tool_calls=[chat_pb2.ToolCall(id="c1", name="f", arguments_json='{"a": 1}')],
            reasoning="hm",
        ),
        chat_pb2.ChatMessage(
            role=chat_pb2.ROLE_TOOL,
            content=[chat_pb2.ContentPart(text="42")],
            tool_call_id="c1",
        ),
    ]


def test_what_the_template_gets() -> None:
    chat = translated(
        reasoning_effort="low",
        chat_template_kwargs={"enable_thinking": False},
        continue_final_message=True,
        add_generation_prompt=False,
    ).chat
    assert chat.reasoning_effort == "low"
    assert chat.template_kwargs_json == '{"enable_thinking":false}'
    assert chat.continue_final_message is True


def test_form_of_the_answer() -> None:
    request = translated(response_format={"type": "json_object"})
    assert request.constraint.WhichOneof("constraint") == "json_object"
    assert not translated().HasField("constraint")


@pytest.mark.parametrize(("sent", "written"), [("", "{}"), (" ", " "), ("{", "{")])
def test_no_arguments_are_an_empty_object(sent: str, written: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": sent}}
    request = translated(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert request.chat.messages[0].tool_calls[0].arguments_json == written
