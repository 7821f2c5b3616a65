import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from openvino_server.v1 import inference_pb2
from pydantic import TypeAdapter

from rest_gateway.anthropic.events import EventWriter
from rest_gateway.anthropic.message import MessageWriter
from rest_gateway.openai.errors import ApiError

TOOL_CALLS = inference_pb2.FINISH_REASON_TOOL_CALLS
LENGTH = inference_pb2.FINISH_REASON_LENGTH
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def read(written: bytes) -> list[Any]:
    """Read frames as the SDK does; each event is named after its type."""
    events = []
    for frame in written.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        payload = json.loads(data.removeprefix("data: "))
        assert name == f"event: {payload['type']}"
        if payload["type"] != "error":
            EVENT.validate_json(data.removeprefix("data: "), strict=True)
        events.append(payload)
    return events


def stream(messages: Iterable[Any], *, show_thinking: bool = True) -> list[Any]:
    writer = EventWriter("msg_1", "m", "req_1", show_thinking=show_thinking)
    written = b"".join([writer.write(message) for message in messages])
    return read(written + writer.end())


def test_stream(happened: Any, messages: Callable[..., Any]) -> None:
    events = stream(
        messages(
            happened.started(),
            happened.reasoning("Hm"),
            happened.text("Hel"),
            happened.text(""),
            happened.text('lo\n"'),
            happened.call(0, begins=True),
            happened.call(0, '{"a":'),
            happened.call(0, "1}"),
            happened.finished(TOOL_CALLS),
        )
    )
    opening = events.pop(0)
    assert opening["type"] == "message_start"
    assert opening["message"]["content"] == []
    assert opening["message"]["stop_reason"] is None
    assert opening["message"]["usage"]["input_tokens"] == 6
    assert opening["message"]["usage"]["output_tokens"] == 0

    def start(index: int, **block: Any) -> Any:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def delta(index: int, **delta: Any) -> Any:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def stop(index: int) -> Any:
        return {"type": "content_block_stop", "index": index}

    assert events == [
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hm"),
        delta(0, type="signature_delta", signature=""),
        stop(0),
        start(1, type="text", text=""),
        delta(1, type="text_delta", text="Hel"),
        delta(1, type="text_delta", text='lo\n"'),
        stop(1),
        start(2, type="tool_use", id="call_0", name="tool_0", input={}),
        delta(2, type="input_json_delta", partial_json='{"a":'),
        delta(2, type="input_json_delta", partial_json="1}"),
        stop(2),
        {
            "type": "message_delta",
            "delta": {
                "stop_reason": "tool_use",
                "stop_sequence": None,
                "stop_details": None,
                "container": None,
            },
            "usage": {
                "input_tokens": 6,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 4,
                "output_tokens": 6,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        },
        {"type": "message_stop"},
    ]


def test_thinking_left_out(happened: Any, messages: Callable[..., Any]) -> None:
    said = messages(happened.started(), happened.reasoning("Hm"), happened.finished())
    deltas = [e["delta"] for e in stream(said, show_thinking=False) if "delta" in e]
    assert [delta.get("type") for delta in deltas] == ["signature_delta", None]


def test_failure(happened: Any, messages: Callable[..., Any]) -> None:
    writer = EventWriter("msg_1", "m", "req_1")
    for message in messages(happened.started(), happened.text("x")):
        writer.write(message)
    error = ApiError(503, "gone", code="worker_lost")
    assert read(writer.fail(error)) == [
        {
            "type": "error",
            "error": {
                "type": "api_error",
                "message": "gone",
                "details": {"error_code": "worker_lost"},
            },
            "request_id": "req_1",
        }
    ]


def test_end_before_the_completion_ended(happened: Any, messages: Callable[..., Any]) -> None:
    with pytest.raises(ApiError, match="before the completion ended"):
        stream(messages(happened.started(), happened.text("x")))


@pytest.mark.parametrize(
    "order",
    [
        ["text", "started"],
        ["started", "finished", "text"],
        ["started", "more"],
        ["started", "call", "text", "more"],
        ["started", "second"],
    ],
)
def test_order_that_the_service_never_sends(
    happened: Any, messages: Callable[..., Any], order: list[str]
) -> None:
    known = {
        "started": happened.started(),
        "text": happened.text("x"),
        "call": happened.call(0, begins=True),
        "more": happened.call(0, "{"),
        "second": happened.call(1, begins=True),
        "finished": happened.finished(),
    }
    with pytest.raises(ApiError) as caught:
        stream(messages(*(known[name] for name in order)))
    assert caught.value.status == 502


_TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
_PIECE = st.one_of(
    st.tuples(st.just("text"), _TEXT),
    st.tuples(st.just("reasoning"), _TEXT),
    st.tuples(
        st.just("call"),
        st.dictionaries(_TEXT, st.one_of(_TEXT, st.integers(), st.none()), max_size=3),
    ),
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[tuple[str, Any]], bool]:
    """What an answer is made of, with each call's JSON in pieces, and whether it is cut off."""
    said: list[tuple[str, Any]] = []
    for kind, value in draw(st.lists(_PIECE, max_size=8)):
        if kind != "call":
            said.append((kind, value))
            continue
        said.append(("begins", ""))
        rest = json.dumps(value, ensure_ascii=draw(st.booleans()))
        while rest:
            size = draw(st.integers(1, len(rest)))
            said.append(("arguments", rest[:size]))
            rest = rest[size:]
    cut = draw(st.booleans())
    return (said[: draw(st.integers(0, len(said)))] if cut else said), cut


@given(answer=answers(), show_thinking=st.booleans(), sizes=st.lists(st.integers(1, 4)))
def test_any_answer_is_the_same_streamed_and_whole(
    happened: Any, answer: tuple[list[tuple[str, Any]], bool], show_thinking: bool, sizes: list[int]
) -> None:
    said, cut = answer
    events, calls = [happened.started()], -1
    for kind, text in said:
        if kind == "begins":
            calls += 1
            events.append(happened.call(calls, begins=True))
        elif kind == "arguments":
            events.append(happened.call(calls, text))
        else:
            events.append(getattr(happened, kind)(text))
    events.append(happened.finished(LENGTH) if cut else happened.finished())
    grouped = []
    while events:
        size = sizes.pop() if sizes else 1
        grouped.append(inference_pb2.GenerateResponse(events=events[:size]))
        events = events[size:]

    written = stream(grouped, show_thinking=show_thinking)
    check_order([event["type"] for event in written], written)
    snapshot, buffers = None, {}
    for event in written:
        typed = EVENT.validate_python(event)
        snapshot = accumulate_event(event=typed, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    writer = MessageWriter("msg_1", "m", show_thinking=show_thinking)
    for message in grouped:
        writer.add(message)
    assert snapshot.to_dict() == json.loads(writer.body())


def check_order(types: list[str], events: list[Any]) -> None:
    """Hold a stream to the flow that Anthropic documents."""
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    opened, current = 0, None
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert current is None
            assert event["index"] == opened
            current, opened = event["index"], opened + 1
        else:
            assert event["index"] == current
            if event["type"] == "content_block_stop":
                current = None
            else:
                assert event["type"] == "content_block_delta"
    assert current is None
