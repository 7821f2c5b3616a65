import json
from typing import Any

import pytest
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.conversation import Conversation, read_conversation
from rest_gateway.openai.responses.schema import parse_response_request
from rest_gateway.openai.responses.store import ResponseStore, StoreLimits

_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
ANSWER = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
}


@pytest.fixture
def store() -> ResponseStore:
    return ResponseStore(StoreLimits(10, 1 << 20, 60))


def read(store: ResponseStore, said: Any, owner: str = "me", **sent: Any) -> Conversation:
    body = json.dumps({"model": "m", "input": said} | sent).encode()
    return read_conversation(parse_response_request(body), store, owner)


def keep(store: ResponseStore, said: Any, output: Any, status: str = "completed") -> str:
    response = {"id": f"resp_{len(store)}", "status": status, "output": output}
    previous = {"previous_response_id": f"resp_{len(store) - 1}"} if len(store) else {}
    assert store.put(response, read(store, said, **previous).turn)
    return response["id"]


def refusal(store: ResponseStore, said: Any, owner: str = "me", **sent: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(store, said, owner, **sent)
    return caught.value


def test_text_is_a_message_of_the_user(store: ResponseStore) -> None:
    conversation = read(store, "Hi")
    [item] = [json.loads(item) for item in conversation.turn.input]
    assert item.pop("id").startswith("msg_")
    assert item == {
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }


def test_items_are_written_as_openais_clients_read_them(store: ResponseStore) -> None:
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"role": "assistant", "content": "Hm"},
        ANSWER | {"content": [{"type": "refusal", "refusal": "No"}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "a"}]},
        CALL,
        RESULT | {"output": [{"type": "input_text", "text": "42"}]},
    ]
    written = [json.loads(item) for item in read(store, said).turn.input]
    for item in written:
        _ITEM.validate_python(item, strict=True)
    assert written[3]["content"] == [{"type": "refusal", "refusal": "No"}]
    again = read(store, written)
    assert [json.loads(item) for item in again.turn.input] == written


def test_goes_on_from_a_response(store: ResponseStore) -> None:
    keep(store, "Hi", [ANSWER])
    last = keep(store, "And?", [ANSWER | {"id": "msg_2"}])
    conversation = read(store, "So", previous_response_id=last)
    texts = [text for item in conversation.items for text in item.texts]  # type: ignore[union-attr]
    assert texts == ["Hi", "Hello", "And?", "Hello", "So"]
    assert len(conversation.turn.input) == 1


def test_previous_response_must_be_there_and_ones_own(store: ResponseStore) -> None:
    last = keep(store, "Hi", [ANSWER])
    for error in (
        refusal(store, "x", previous_response_id="resp_9"),
        refusal(store, "x", owner="you", previous_response_id=last),
    ):
        assert (error.status, error.param) == (400, "previous_response_id")
        assert error.code == "previous_response_not_found"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_did_not_end_well_is_not_gone_on_from(store: ResponseStore, status: str) -> None:
    last = keep(store, "Hi", [], status)
    error = refusal(store, "x", previous_response_id=last)
    assert (error.param, status in error.message) == ("previous_response_id", True)


def test_reference_is_followed(store: ResponseStore) -> None:
    keep(store, "Hi", [ANSWER])
    conversation = read(store, [{"type": "item_reference", "id": "msg_1"}])
    assert json.loads(conversation.turn.input[0]) == ANSWER


def test_reference_to_nothing(store: ResponseStore) -> None:
    keep(store, "Hi", [ANSWER])
    error = refusal(store, [{"role": "user", "content": "x"}, {"id": "msg_1"}], owner="you")
    assert (error.status, error.param) == (404, "input[1].id")


def test_call_that_was_cut_off_is_left_out(store: ResponseStore) -> None:
    cut = CALL | {"id": "fc_1", "arguments": '{"a', "status": "incomplete"}
    last = keep(store, "Hi", [ANSWER, cut], "incomplete")
    conversation = read(store, "Go on", previous_response_id=last)
    assert [item.type for item in conversation.items] == ["message"] * 2 + [None]
    error = refusal(store, [{"id": "fc_1"}])
    assert "cut off" in error.message


def test_call_that_no_client_may_send_is_not_gone_on_from(store: ResponseStore) -> None:
    odd = CALL | {"id": "fc_1", "arguments": "[]", "status": "completed"}
    last = keep(store, "Hi", [odd])
    error = refusal(store, [RESULT], previous_response_id=last)
    assert (error.status, error.param) == (400, "previous_response_id")
    assert "'fc_1' can't be sent to the model again: arguments must be" in error.message
    assert refusal(store, [{"id": "fc_1"}, RESULT]).param == "input[0].id"


def test_calls_and_outputs_match_across_responses(store: ResponseStore) -> None:
    last = keep(store, "Hi", [CALL | {"id": "fc_1", "status": "completed"}])
    assert len(read(store, [RESULT], previous_response_id=last).items) == 3
    error = refusal(store, "And?", previous_response_id=last)
    assert "No tool output found for function call 'c1'" in error.message
    error = refusal(store, [RESULT])
    assert "No tool call found" in error.message
    error = refusal(store, [CALL, RESULT, RESULT])
    assert (error.param, "No tool call found" in error.message) == ("input", True)
