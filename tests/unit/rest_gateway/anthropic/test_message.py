import json
from typing import Any

import pytest
from anthropic.types import Message
from openvino_server.v1 import inference_pb2

from rest_gateway.anthropic.message import MessageWriter
from rest_gateway.openai.errors import ApiError

LENGTH = inference_pb2.FINISH_REASON_LENGTH
TOOL_CALLS = inference_pb2.FINISH_REASON_TOOL_CALLS


@pytest.fixture
def written(messages: Any) -> Any:
    def write(*events: Any, show_thinking: bool = True) -> Any:
        writer = MessageWriter("msg_1", "m", show_thinking=show_thinking)
        for message in messages(*events):
            writer.add(message)
        body = writer.body()
        Message.model_validate_json(body, strict=True)
        return json.loads(body)

    return write


def test_whole_message(written: Any, happened: Any) -> None:
    events = [happened.started(), happened.text("Hel"), happened.text("lo"), happened.finished()]
    assert written(*events) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
            "output_tokens": 6,
            "output_tokens_details": {"thinking_tokens": 2},
            "service_tier": "standard",
        },
    }


def test_cache_that_tells_nothing(written: Any, happened: Any) -> None:
    finished = happened.finished()
    finished.finished.usage.ClearField("cached_tokens")
    usage = written(happened.started(10, None), finished)["usage"]
    assert usage["input_tokens"] == 10
    assert usage["cache_read_input_tokens"] is None


def test_blocks_of_all_kinds(written: Any, happened: Any) -> None:
    message = written(
        happened.started(),
        happened.reasoning("Hm"),
        happened.reasoning("."),
        happened.text(""),
        happened.text("Let me see."),
        happened.call(0, '{"a": ', begins=True),
        happened.call(0, '"ü"}'),
        happened.call(1, begins=True),
        happened.finished(TOOL_CALLS),
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "call_0", "name": "tool_0", "input": {"a": "ü"}},
        {"type": "tool_use", "id": "call_1", "name": "tool_1", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"


def test_thinking_left_out(written: Any, happened: Any) -> None:
    events = [happened.started(), happened.reasoning("Hm."), happened.text("x")]
    message = written(*events, happened.finished(), show_thinking=False)
    assert message["content"] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": "x"},
    ]


@pytest.mark.parametrize(
    ("reason", "matched_stop", "stop_reason"),
    [
        (inference_pb2.FINISH_REASON_STOP, None, "end_turn"),
        (inference_pb2.FINISH_REASON_STOP, "\n\n", "stop_sequence"),
        (LENGTH, None, "max_tokens"),
        (TOOL_CALLS, None, "tool_use"),
    ],
)
def test_stop_reasons(
    written: Any, happened: Any, reason: Any, matched_stop: str | None, stop_reason: str
) -> None:
    message = written(happened.started(), happened.finished(reason, matched_stop))
    assert (message["stop_reason"], message["stop_sequence"]) == (stop_reason, matched_stop)
    assert message["content"] == []


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        (" ", {}),
        ("{", {}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": 1, "b": "hal', {"a": 1}),
        (f'{{"a": {10**30}}}', {"a": 10**30}),
    ],
)
def test_input_that_is_cut_off(written: Any, happened: Any, arguments: str, given: Any) -> None:
    call = happened.call(0, arguments, begins=True)
    message = written(happened.started(), call, happened.finished(LENGTH))
    assert message["content"][0]["input"] == given


@pytest.mark.parametrize(
    "arguments", ["{", "[]", "null", '{"a": 1}}', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}']
)
def test_input_that_is_no_object(written: Any, happened: Any, arguments: str) -> None:
    call = happened.call(0, arguments, begins=True)
    message = written(happened.started(), call, happened.finished(TOOL_CALLS))
    assert message["content"][0]["input"] == {"INVALID_JSON": arguments}
    assert message["stop_reason"] == "tool_use"


def test_end_before_the_completion_ended(written: Any, happened: Any) -> None:
    with pytest.raises(ApiError, match="before the completion ended"):
        written(happened.started(), happened.text("x"))


def test_event_after_the_last(written: Any, happened: Any) -> None:
    with pytest.raises(ApiError, match="an event after the last"):
        written(happened.started(), happened.finished(), happened.text("x"))


def test_unknown_event(written: Any) -> None:
    with pytest.raises(ApiError, match="event None"):
        written(inference_pb2.GenerateEvent())
