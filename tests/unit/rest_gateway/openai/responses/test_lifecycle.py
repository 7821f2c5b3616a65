import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from openvino_server.v1 import inference_pb2
from pydantic import TypeAdapter

from rest_gateway.openai import errors
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.lifecycle import Lifecycle
from rest_gateway.openai.responses.output import Event, Output
from rest_gateway.openai.responses.response import ResponseForm
from rest_gateway.openai.responses.schema import parse_response_request
from rest_gateway.openai.responses.writers import EventWriter, ResponseWriter

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_CLOSING = {"response.completed", "response.incomplete", "response.failed"}


def lifecycle(keep: Callable[[Any], bool] | None = None, *, logprobs: bool = False) -> Lifecycle:
    request = parse_response_request(b'{"model": "m", "input": "Hi"}')
    return Lifecycle(ResponseForm(request, "resp_1", 1), Output(logprobs=logprobs), keep)


def message(**event: Any) -> inference_pb2.GenerateResponse:
    return inference_pb2.GenerateResponse(events=[inference_pb2.GenerateEvent(**event)])


def text(piece: str, *tokens: bytes) -> inference_pb2.GenerateResponse:
    logprobs = [
        inference_pb2.TokenLogprob(token_id=1, token=token, logprob=-0.5) for token in tokens
    ]
    return message(text=inference_pb2.TextDelta(text=piece, logprobs=logprobs))


def thought(piece: str) -> inference_pb2.GenerateResponse:
    return message(reasoning=inference_pb2.ReasoningDelta(text=piece))


def call(index: int, arguments: str = "", name: str | None = None) -> Any:
    return message(
        tool_call=inference_pb2.ToolCallDelta(
            call_index=index,
            id=f"call_{index}" if name else None,
            name=name,
            arguments_json_delta=arguments,
        )
    )


def finished(reason: Any = inference_pb2.FINISH_REASON_STOP) -> Any:
    usage = inference_pb2.Usage(
        prompt_tokens=7, completion_tokens=3, cached_tokens=4, reasoning_tokens=1
    )
    return message(finished=inference_pb2.Finished(reason=reason, usage=usage))


def started() -> Any:
    return message(started=inference_pb2.Started(prompt_tokens=7))


def names(events: list[Event]) -> list[str]:
    return [name.removeprefix("response.") for name, _ in events]


def test_order_of_a_text() -> None:
    response = lifecycle()
    told = [*response.take(started()), *response.take(text("He")), *response.take(text("y"))]
    told += [*response.take(finished()), *response.end()]
    assert names(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    [item] = told[-1][1]["response"]["output"]
    assert item["content"][0]["text"] == "Hey"


def test_order_of_thought_text_and_calls() -> None:
    response = lifecycle()
    pieces = [
        started(),
        thought("hm"),
        text("Look."),
        call(0, name="find"),
        call(0, '{"a":'),
        call(0, "1}"),
        call(1, "{}", "stop"),
        finished(inference_pb2.FINISH_REASON_TOOL_CALLS),
    ]
    told = [event for piece in pieces for event in response.take(piece)] + response.end()
    assert names(told)[2:] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    output = told[-1][1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert output[2]["arguments"] == '{"a":1}'
    assert output[2]["call_id"] == "call_0"


def test_length_leaves_the_last_item_incomplete() -> None:
    response = lifecycle()
    response.take(text("Hel"))
    response.take(finished(inference_pb2.FINISH_REASON_LENGTH))
    [(name, fields)] = response.end()
    assert name == "response.incomplete"
    assert fields["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert fields["response"]["output"][0]["status"] == "incomplete"
    assert fields["response"]["completed_at"] is None


def test_answer_without_anything_is_an_empty_message() -> None:
    response = lifecycle()
    response.take(finished())
    [(_, fields)] = response.end()
    assert fields["response"]["output"][0]["content"][0]["text"] == ""


def test_failure_before_anything_was_told_still_creates() -> None:
    told = lifecycle().fail(errors.internal())
    assert names(told) == ["created", "in_progress", "error", "failed"]
    assert told[2][1] == {
        "code": "internal_error",
        "message": errors.internal().message,
        "param": None,
    }
    assert told[3][1]["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize(
    "bad",
    [
        message(index=1, text=inference_pb2.TextDelta(text="x")),
        call(0, "{}"),
        inference_pb2.GenerateResponse(events=[inference_pb2.GenerateEvent()]),
    ],
)
def test_what_was_not_asked_for_is_refused(bad: Any) -> None:
    with pytest.raises(ApiError, match="can't use"):
        lifecycle().take(bad)


def test_piece_of_a_call_that_has_ended_is_refused() -> None:
    response = lifecycle()
    response.take(call(0, "{", "f"))
    response.take(text("x"))
    with pytest.raises(ApiError, match="tool call 0"):
        response.take(call(0, "}"))


def test_nothing_comes_after_the_end() -> None:
    response = lifecycle()
    response.take(finished())
    with pytest.raises(ApiError, match="can't use"):
        response.take(text("x"))


def test_end_before_the_generation_has_ended_is_refused() -> None:
    response = lifecycle()
    response.take(text("x"))
    with pytest.raises(ApiError, match="before the completion ended"):
        response.end()


def test_logprobs_only_if_wanted() -> None:
    response = lifecycle(logprobs=True)
    told = [*response.take(text("é", b"\xc3", b"\xa9")), *response.take(text("", b"!"))]
    deltas = [fields for name, fields in told if name.endswith("delta")]
    assert [[one["bytes"] for one in delta["logprobs"]] for delta in deltas] == [
        [[0xC3], [0xA9]],
        [[33]],
    ]
    told = lifecycle().take(text("é", b"\xc3", b"\xa9"))
    assert told[-1][1]["logprobs"] == []


@pytest.mark.parametrize("kept", [True, False])
def test_end_is_kept_once_and_says_so(kept: bool) -> None:
    held: list[Any] = []

    def keep(response: Any) -> bool:
        held.append(response)
        return kept

    response = lifecycle(keep)
    response.take(finished())
    [(_, fields)] = response.end()
    assert [one["status"] for one in held] == ["completed"]
    assert fields["response"]["store"] is kept


def test_cancelled() -> None:
    held: list[Any] = []
    response = lifecycle(lambda one: held.append(one) is None)
    response.take(text("Hel"))
    response.cancel()
    assert response.written()["status"] == "cancelled"
    assert held[0]["output"][0]["status"] == "incomplete"
    assert Response.model_validate(response.written(), strict=True).usage is None


def test_obfuscation_pads_deltas_alone() -> None:
    writer = EventWriter(lifecycle(), obfuscate=True)
    written = parse(writer.write(text("Hi")) + writer.write(finished()) + writer.end())
    for event in written:
        assert ("obfuscation" in event) == event["type"].endswith(".delta")


def parse(data: bytes) -> list[dict[str, Any]]:
    """Read events, whose names are their types."""
    events = []
    for frame in data.decode().removesuffix("\n\n").split("\n\n"):
        name, payload = frame.split("\n")
        events.append(json.loads(payload.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


_pieces = st.text(max_size=4)
_happening = st.one_of(
    st.builds(text, _pieces),
    st.builds(text, _pieces, st.binary(min_size=1, max_size=2)),
    st.builds(thought, _pieces),
    st.builds(call, st.integers(0, 3), _pieces, st.sampled_from([None, "f", "g"])),
    st.builds(
        finished,
        st.sampled_from(
            [
                inference_pb2.FINISH_REASON_STOP,
                inference_pb2.FINISH_REASON_LENGTH,
                inference_pb2.FINISH_REASON_TOOL_CALLS,
            ]
        ),
    ),
)


def joined(messages: list[Any]) -> inference_pb2.GenerateResponse:
    return inference_pb2.GenerateResponse(
        events=[event for message in messages for event in message.events]
    )


@given(st.lists(st.lists(_happening, max_size=4).map(joined), max_size=6), st.booleans())
def test_any_events_give_a_valid_stream(happenings: list[Any], logprobs: bool) -> None:
    writer = EventWriter(lifecycle(logprobs=logprobs))
    data = b""
    try:
        for happening in happenings:
            data += writer.write(happening)
        data += writer.end()
    except ApiError as error:
        data += writer.fail(error)
    check_stream(parse(data))


@given(st.lists(_happening, max_size=8))
def test_body_is_the_streams_last_response(happenings: list[Any]) -> None:
    whole = [started(), *happenings]
    body, stream = ResponseWriter(lifecycle()), EventWriter(lifecycle())
    try:
        for happening in whole:
            body.add(happening)
        said = json.loads(body.body())
    except ApiError:
        return  # the stream's failure is the other test's
    data = b"".join(stream.write(happening) for happening in whole) + stream.end()
    told = parse(data)[-1]["response"]
    assert _without_ids(said) == _without_ids(told)


def _without_ids(response: dict[str, Any]) -> dict[str, Any]:
    for item in response["output"]:
        del item["id"]
    return response


def check_stream(events: list[dict[str, Any]]) -> None:
    """Hold a stream to the order that OpenAI documents."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        _EVENT.validate_python(event, strict=True)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in _CLOSING
    assert not _CLOSING & set(kinds[:-1])
    assert ("error" in kinds) == (kinds[-1] == "response.failed")
    done: list[dict[str, Any]] = []
    open_item: dict[str, Any] | None = None
    deltas = ""
    for event in events[2:-1]:
        kind = event["type"].removeprefix("response.")
        if kind == "error":
            assert open_item is None
        elif kind == "output_item.added":
            assert open_item is None
            open_item, deltas = event["item"], ""
            assert event["output_index"] == len(done)
        elif kind == "output_item.done":
            assert open_item is not None
            item = event["item"]
            assert (item["id"], item["type"]) == (open_item["id"], open_item["type"])
            whole = item["arguments"] if "arguments" in item else item["content"][0]["text"]
            assert whole == deltas
            assert item["status"] in {"completed", "incomplete"}
            done.append(item)
            open_item = None
        else:
            assert open_item is not None
            assert event["item_id"] == open_item["id"]
            assert event["output_index"] == len(done)
            if kind.endswith(".delta"):
                deltas += event["delta"]
            elif kind.endswith(("text.done", "arguments.done")):
                assert event.get("text", event.get("arguments")) == deltas
    assert events[-1]["response"]["output"] == done
    assert open_item is None
