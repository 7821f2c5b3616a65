import asyncio
import json
from typing import Any

import grpc
import httpx
import pytest
from openai.types.responses import Response
from openvino_server.v1 import inference_pb2

PATH = "/v1/responses"
ASK = {"model": "smollm", "input": "Hi"}


def tokens(count: int, context_length: int = 100) -> inference_pb2.TokenizeResponse:
    return inference_pb2.TokenizeResponse(token_ids=range(count), context_length=context_length)


async def read_events(lines: Any) -> list[Any]:
    return [json.loads(line[6:]) async for line in lines if line.startswith("data: ")]


async def test_whole_answer(client: httpx.AsyncClient, service: Any, events: Any) -> None:
    service.script = events.answer("Hel", "lo")
    answer = await client.post(PATH, json=ASK | {"metadata": {"a": "b"}, "temperature": 0.5})
    assert answer.status_code == 200
    body = answer.json()
    Response.model_validate(body, strict=True)
    assert body["id"].startswith("resp_")
    assert body["status"] == "completed"
    assert body["output"][0]["content"][0]["text"] == "Hello"
    assert body["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 10,
    }
    assert (body["metadata"], body["temperature"], body["top_p"]) == ({"a": "b"}, 0.5, None)
    assert (body["store"], body["background"], body["error"]) == (True, False, None)
    assert body["completed_at"] >= body["created_at"]


async def test_echo_of_tools_and_form(client: httpx.AsyncClient, service: Any, events: Any) -> None:
    service.script = events.answer("{}")
    schema = {"type": "object", "maximum": 10**30}
    tool = {"type": "function", "name": "f", "parameters": schema}
    form = {"type": "json_schema", "name": "n", "schema": schema}
    sent = {"tools": [tool], "tool_choice": {"type": "function", "name": "f"}}
    answer = await client.post(PATH, json=ASK | sent | {"text": {"format": form}})
    body = answer.json()
    Response.model_validate(body, strict=True)
    assert body["tools"] == [tool | {"description": None, "strict": False}]
    assert body["tool_choice"] == sent["tool_choice"]
    assert body["text"]["format"] == form | {"description": None, "strict": True}


async def test_stream(live_client: httpx.AsyncClient, service: Any, events: Any) -> None:
    service.script = events.answer("Hel", "lo")
    async with live_client.stream("POST", PATH, json=ASK | {"stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = await read_events(answer.aiter_lines())
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[-1]["type"] == "response.completed"
    kept = await live_client.get(f"{PATH}/{told[0]['response']['id']}")
    assert kept.json() == told[-1]["response"]


async def test_failure_before_the_first_event_is_a_status(
    live_client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    service.script = [
        failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "chat.messages[0].content is odd",
            "INVALID_ARGUMENT",
            {"field": "chat.messages[0].content"},
        )
    ]
    answer = await live_client.post(PATH, json=ASK | {"stream": True})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "input"


async def test_failure_in_the_stream(
    live_client: httpx.AsyncClient, service: Any, events: Any, failure: Any
) -> None:
    service.script = [
        events.started(),
        events.text("Hel"),
        failure(grpc.StatusCode.UNAVAILABLE, "it died", "WORKER_LOST", {"model": "smollm"}),
    ]
    async with live_client.stream("POST", PATH, json=ASK | {"stream": True}) as answer:
        told = await read_events(answer.aiter_lines())
    assert [event["type"] for event in told[-3:]] == [
        "response.output_item.done",
        "error",
        "response.failed",
    ]
    assert told[-2]["code"] == "worker_lost"
    assert told[-1]["response"]["error"]["code"] == "server_error"
    assert told[-1]["response"]["output"][0]["status"] == "incomplete"
    kept = await live_client.get(f"{PATH}/{told[0]['response']['id']}")
    assert kept.json()["status"] == "failed"


@pytest.mark.parametrize("stream", [True, False])
async def test_client_that_leaves_cancels(
    server: Any, key: str, service: Any, events: Any, stream: bool
) -> None:
    service.script = [events.started(), asyncio.Event()]
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as leaving:
        asked = asyncio.create_task(leaving.post(PATH, json=ASK | {"stream": stream}))
        await service.started.wait()
        asked.cancel()
        await asyncio.wait({asked})
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_goes_on_without_the_instructions_before(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hello")
    first = (await client.post(PATH, json=ASK | {"instructions": "Be brief."})).json()
    again = ASK | {"input": "And?", "previous_response_id": first["id"]}
    second = await client.post(PATH, json=again)
    assert second.json()["previous_response_id"] == first["id"]
    said = [message.content[0].text for message in service.requests[1].chat.messages]
    assert said == ["Hi", "Hello", "And?"]


async def test_what_is_not_stored_can_not_be_gone_on_from(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.script = events.answer("Hello")
    first = (await client.post(PATH, json=ASK | {"store": False})).json()
    assert first["store"] is False
    assert (await client.get(f"{PATH}/{first['id']}")).status_code == 404
    answer = await client.post(PATH, json=ASK | {"previous_response_id": first["id"]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "previous_response_not_found"


async def test_input_tokens(client: httpx.AsyncClient, service: Any) -> None:
    service.script = [tokens(42)]
    answer = await client.post(f"{PATH}/input_tokens", json=ASK | {"instructions": "Be brief."})
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 42}
    [request] = service.requests
    assert [message.content[0].text for message in request.chat.messages] == ["Be brief.", "Hi"]


async def test_input_tokens_of_no_model(
    client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    service.script = [
        failure(grpc.StatusCode.NOT_FOUND, "no", "MODEL_NOT_FOUND", {"model": "smollm"})
    ]
    answer = await client.post(f"{PATH}/input_tokens", json=ASK)
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")


async def test_truncation_leaves_room_for_the_answer(
    client: httpx.AsyncClient, service: Any, events: Any
) -> None:
    service.tokens_of = lambda request: tokens(20 * len(request.chat.messages))
    service.script = events.answer("x")
    turns = [
        {"role": role, "content": f"{role} {number}"}
        for number in range(3)
        for role in ("user", "assistant")
    ]
    sent = ASK | {"input": [*turns, {"role": "user", "content": "And?"}], "truncation": "auto"}
    await client.post(PATH, json=sent | {"max_output_tokens": 40})
    await client.post(PATH, json=sent | {"max_output_tokens": 41})
    answered = [one for one in service.requests if isinstance(one, inference_pb2.GenerateRequest)]
    said = [[message.content[0].text for message in one.chat.messages] for one in answered]
    assert said == [["user 2", "assistant 2", "And?"], ["And?"]]


async def test_truncation_of_what_is_too_long_to_be_counted(
    client: httpx.AsyncClient, service: Any, events: Any, failure: Any
) -> None:
    too_long = failure(
        grpc.StatusCode.INVALID_ARGUMENT, "it is too long", "CONTEXT_LENGTH_EXCEEDED"
    )

    def tokens_of(request: Any) -> Any:
        said = len(request.chat.messages)
        return tokens(20 * said) if said <= 5 else too_long

    service.tokens_of = tokens_of
    service.script = events.answer("x")
    turns = [{"role": role, "content": role} for _ in range(9) for role in ("user", "assistant")]
    sent = ASK | {"input": [*turns, {"role": "user", "content": "And?"}]}
    answer = await client.post(PATH, json=sent | {"truncation": "auto"})
    assert answer.status_code == 200
    assert len(service.requests[-1].chat.messages) == 3
    for path, field in ((f"{PATH}/input_tokens", "input"), ("/v1/tokenize", "messages")):
        answer = await client.post(path, json={"model": "smollm", field: sent["input"]})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("context_length_exceeded", field)


async def test_truncation_does_not_hide_other_failures(
    client: httpx.AsyncClient, service: Any, failure: Any
) -> None:
    service.tokens_of = lambda _: failure(
        grpc.StatusCode.INVALID_ARGUMENT, "no such talk", "CHAT_TEMPLATE"
    )
    answer = await client.post(PATH, json=ASK | {"truncation": "auto"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
