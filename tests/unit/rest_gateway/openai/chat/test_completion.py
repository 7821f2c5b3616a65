import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.chat.completion import CompletionWriter
from rest_gateway.openai.errors import ApiError


def writer(choices: int = 1, *, logprobs: bool = False) -> CompletionWriter:
    return CompletionWriter("chatcmpl-1", 5, "m", choices, logprobs=logprobs)


def message(*events: inference_pb2.GenerateEvent) -> inference_pb2.GenerateResponse:
    return inference_pb2.GenerateResponse(events=events)


def call(arguments: str, **first: Any) -> inference_pb2.GenerateEvent:
    delta = inference_pb2.ToolCallDelta(arguments_json_delta=arguments, **first)
    return inference_pb2.GenerateEvent(tool_call=delta)


def finished(events: Any, index: int, *reason: Any) -> inference_pb2.GenerateResponse:
    written: inference_pb2.GenerateResponse = events.finished(*reason)
    written.events[0].index = index
    return written


def test_reasoning_is_kept_apart(events: Any) -> None:
    thought = inference_pb2.GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text="hm"))
    thinking = inference_pb2.GenerateResponse(events=[thought])
    whole = writer()
    for message in (events.started(), thinking, events.text("a"), events.finished()):
        whole.add(message)
    said = json.loads(whole.body())["choices"][0]["message"]
    assert (said["content"], said["reasoning_content"]) == ("a", "hm")


def test_what_can_not_be_written_is_an_error(events: Any) -> None:
    with pytest.raises(ApiError):
        writer().add(events.finished(inference_pb2.FINISH_REASON_UNSPECIFIED))
    with pytest.raises(ApiError):
        writer().add(message(call("{}")))
    with pytest.raises(ApiError):
        writer().add(finished(events, 1))
    with pytest.raises(ApiError):
        writer().body()


def test_calls_are_whole(events: Any) -> None:
    whole = writer()
    whole.add(events.started())
    whole.add(message(call('{"a"', id="c1", name="f"), call("", id="c2", name="g", call_index=1)))
    whole.add(message(call(":1}"), call("{}", call_index=1)))
    whole.add(events.finished(inference_pb2.FINISH_REASON_TOOL_CALLS))
    [choice] = json.loads(whole.body())["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_completions_are_in_order_however_they_end(events: Any) -> None:
    whole = writer(2)
    whole.add(events.started())
    for index, said in ((1, "b"), (0, "a")):
        text = inference_pb2.TextDelta(text=said)
        whole.add(message(inference_pb2.GenerateEvent(index=index, text=text)))
        with pytest.raises(ApiError):
            whole.body()
        whole.add(finished(events, index))
    answer = json.loads(whole.body())
    said = [(choice["index"], choice["message"]["content"]) for choice in answer["choices"]]
    assert said == [(0, "a"), (1, "b")]
    assert answer["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize("asked", [False, True])
def test_logprobs_are_there_if_asked_for(events: Any, asked: bool) -> None:
    whole = writer(logprobs=asked)
    whole.add(events.started())
    if asked:
        token = inference_pb2.TokenLogprob(token=b"a", logprob=-1)
        text = inference_pb2.TextDelta(text="a", logprobs=[token])
        whole.add(message(inference_pb2.GenerateEvent(text=text)))
    whole.add(events.finished())
    [choice] = json.loads(whole.body())["choices"]
    entry = {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}
    expected = {"content": [entry], "refusal": None} if asked else None
    assert choice["logprobs"] == expected
