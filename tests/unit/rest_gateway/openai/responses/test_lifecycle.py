from typing import Any

import pytest
from openai.types.responses import Response
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.output import Event


def names(events: list[Event]) -> list[str]:
    return [name.removeprefix("response.") for name, _ in events]


def test_order_of_a_text(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    told = [
        *response.take(say.started()),
        *response.take(say.text("He")),
        *response.take(say.text("y")),
    ]
    told += [*response.take(say.finished()), *response.end()]
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


def test_order_of_thought_text_and_calls(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    pieces = [
        say.started(),
        say.thought("hm"),
        say.text("Look."),
        say.call(0, name="find"),
        say.call(0, '{"a":'),
        say.call(0, "1}"),
        say.call(1, "{}", "stop"),
        say.finished(inference_pb2.FINISH_REASON_TOOL_CALLS),
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


def test_length_leaves_the_last_item_incomplete(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    response.take(say.text("Hel"))
    response.take(say.finished(inference_pb2.FINISH_REASON_LENGTH))
    [(name, fields)] = response.end()
    assert name == "response.incomplete"
    assert fields["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert fields["response"]["output"][0]["status"] == "incomplete"
    assert fields["response"]["completed_at"] is None


def test_answer_without_anything_is_an_empty_message(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    response.take(say.finished())
    [(_, fields)] = response.end()
    assert fields["response"]["output"][0]["content"][0]["text"] == ""


def test_failure_before_anything_was_told_still_creates(lifecycle: Any) -> None:
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
        inference_pb2.GenerateEvent(index=1, text=inference_pb2.TextDelta(text="x")),
        inference_pb2.GenerateEvent(
            tool_call=inference_pb2.ToolCallDelta(call_index=0, arguments_json_delta="{}")
        ),
        inference_pb2.GenerateEvent(),
    ],
)
def test_what_was_not_asked_for_is_refused(lifecycle: Any, bad: Any) -> None:
    with pytest.raises(ApiError, match="can't use"):
        lifecycle().take(inference_pb2.GenerateResponse(events=[bad]))


def test_piece_of_a_call_that_has_ended_is_refused(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    response.take(say.call(0, "{", "f"))
    response.take(say.text("x"))
    with pytest.raises(ApiError, match="tool call 0"):
        response.take(say.call(0, "}"))


def test_nothing_comes_after_the_end(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    response.take(say.finished())
    with pytest.raises(ApiError, match="can't use"):
        response.take(say.text("x"))


def test_end_before_the_generation_has_ended_is_refused(lifecycle: Any, say: Any) -> None:
    response = lifecycle()
    response.take(say.text("x"))
    with pytest.raises(ApiError, match="before the completion ended"):
        response.end()


def test_logprobs_only_if_wanted(lifecycle: Any, say: Any) -> None:
    response = lifecycle(logprobs=True)
    told = [*response.take(say.text("é", b"\xc3", b"\xa9")), *response.take(say.text("", b"!"))]
    deltas = [fields for name, fields in told if name.endswith("delta")]
    assert [[one["bytes"] for one in delta["logprobs"]] for delta in deltas] == [
        [[0xC3], [0xA9]],
        [[33]],
    ]
    told = lifecycle().take(say.text("é", b"\xc3", b"\xa9"))
    assert told[-1][1]["logprobs"] == []


@pytest.mark.parametrize("kept", [True, False])
def test_end_is_kept_once_and_says_so(lifecycle: Any, say: Any, kept: bool) -> None:
    held: list[Any] = []

    def keep(response: Any) -> bool:
        held.append(response)
        return kept

    response = lifecycle(keep)
    response.take(say.finished())
    [(_, fields)] = response.end()
    assert [one["status"] for one in held] == ["completed"]
    assert fields["response"]["store"] is kept


def test_cancelled(lifecycle: Any, say: Any) -> None:
    held: list[Any] = []
    response = lifecycle(lambda one: held.append(one) is None)
    response.take(say.text("Hel"))
    response.cancel()
    assert response.written()["status"] == "cancelled"
    assert held[0]["output"][0]["status"] == "incomplete"
    assert Response.model_validate(response.written(), strict=True).usage is None
