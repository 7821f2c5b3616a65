import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from openvino_server.v1 import inference_pb2
from pydantic import TypeAdapter

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.writers import EventWriter, ResponseWriter

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_CLOSING = {"response.completed", "response.incomplete", "response.failed"}


def test_obfuscation_pads_deltas_alone(lifecycle: Any, say: Any) -> None:
    writer = EventWriter(lifecycle(), obfuscate=True)
    written = parse(writer.write(say.text("Hi")) + writer.write(say.finished()) + writer.end())
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


# What may happen, as a method of `say` and its arguments.
_pieces = st.text(max_size=4)
_happening = st.one_of(
    st.tuples(st.just("text"), _pieces),
    st.tuples(st.just("text"), _pieces, st.binary(min_size=1, max_size=2)),
    st.tuples(st.just("thought"), _pieces),
    st.tuples(st.just("call"), st.integers(0, 3), _pieces, st.sampled_from([None, "f", "g"])),
    st.tuples(
        st.just("finished"),
        st.sampled_from(
            [
                inference_pb2.FINISH_REASON_STOP,
                inference_pb2.FINISH_REASON_LENGTH,
                inference_pb2.FINISH_REASON_TOOL_CALLS,
            ]
        ),
    ),
)


def joined(say: Any, happenings: list[Any]) -> inference_pb2.GenerateResponse:
    messages = [getattr(say, name)(*arguments) for name, *arguments in happenings]
    return inference_pb2.GenerateResponse(
        events=[event for message in messages for event in message.events]
    )


@given(happenings=st.lists(st.lists(_happening, max_size=4), max_size=6), logprobs=st.booleans())
def test_any_events_give_a_valid_stream(
    lifecycle: Any, say: Any, happenings: list[Any], logprobs: bool
) -> None:
    writer = EventWriter(lifecycle(logprobs=logprobs))
    data = b""
    try:
        for happening in happenings:
            data += writer.write(joined(say, happening))
        data += writer.end()
    except ApiError as error:
        data += writer.fail(error)
    check_stream(parse(data))


@given(happenings=st.lists(_happening, max_size=8))
def test_body_is_the_streams_last_response(lifecycle: Any, say: Any, happenings: list[Any]) -> None:
    said_to_end = any(name == "finished" for name, *_ in happenings)
    whole = [say.started(), joined(say, happenings)]
    if not said_to_end:
        whole.append(say.finished())
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
