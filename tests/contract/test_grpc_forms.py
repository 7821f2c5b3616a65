"""Several completions, log-probabilities, and forms that completions must have."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from openvino_server.v1 import inference_pb2

AnyCall = Callable[..., Any]
Code = grpc.StatusCode
STOP, LENGTH = inference_pb2.FINISH_REASON_STOP, inference_pb2.FINISH_REASON_LENGTH


def text_of(answer: Any, index: int) -> str:
    return "".join(event.text.text for event in answer.events if event.index == index)


@pytest.mark.parametrize("model", ["echo", "slow"])
async def test_all_completions_come_in_one_stream(client: Any, model: str) -> None:
    answer = await client.answer("né 😀", model, n=5)
    assert answer.events[0].HasField("started")
    assert [text_of(answer, index) for index in range(5)] == ["né 😀"] * 5
    ends = {event.index: event.finished for event in answer.events if event.HasField("finished")}
    assert sorted(ends) == list(range(5))
    for index, end in ends.items():
        assert end.reason == STOP
        assert end.usage.completion_tokens == len("né 😀".encode()) + 1
        last = [event for event in answer.events if event.index == index][-1]
        assert last.HasField("finished")
    assert sum(event.HasField("started") for event in answer.events) == 1
    replica = await client.at_rest(model)
    assert replica.outstanding_requests == 0


async def test_stop_text_and_length_end_each_completion(client: Any) -> None:
    answer = await client.answer("one two three", n=2, stop=["two"])
    ends = [event.finished for event in answer.events if event.HasField("finished")]
    assert [(end.reason, end.matched_stop) for end in ends] == [(STOP, "two")] * 2
    assert [text_of(answer, index) for index in range(2)] == ["one "] * 2
    answer = await client.answer("one two three", n=2, max_tokens=3)
    assert [text_of(answer, index) for index in range(2)] == ["one"] * 2


async def test_as_many_completions_as_allowed(client: Any, refusal: AnyCall) -> None:
    answer = await client.answer("x", n=128)
    assert sum(event.HasField("finished") for event in answer.events) == 128
    for n in (0, 129):
        assert await refusal(client.generate("x", n=n)) == (
            Code.INVALID_ARGUMENT,
            "INVALID_ARGUMENT",
            {"field": "sampling.n"},
        )


@pytest.mark.parametrize("model", ["echo", "slow"])
async def test_log_probabilities_are_of_each_token(client: Any, model: str) -> None:
    answer = await client.answer("né", model, n=2, logprobs=True)
    for index in range(2):
        entries = [
            entry
            for event in answer.events
            if event.index == index
            for entry in event.text.logprobs
        ]
        assert b"".join(entry.token for entry in entries) == "né".encode()
        assert [entry.token_id for entry in entries] == list("né".encode())
        assert all(math.isfinite(entry.logprob) and entry.logprob < 0 for entry in entries)
    plain = await client.answer("né", model)
    assert not any(event.text.logprobs for event in plain.events)


def constrained(**constraint: Any) -> inference_pb2.GenerateRequest:
    return inference_pb2.GenerateRequest(model="echo", prompt="aaa", constraint=constraint)


@pytest.mark.parametrize(
    "constraint",
    [
        {"json_schema": '{"type": "object"}'},
        {"json_object": {}},
        {"regex": "a+"},
        {"choices": {"texts": ["a", "b"]}},
        {"grammar": 'root ::= "a"'},
    ],
)
async def test_each_kind_of_form_is_taken(client: Any, constraint: dict[str, Any]) -> None:
    call = client.inference.Generate(constrained(**constraint), timeout=20)
    events = [event async for response in call for event in response.events]
    assert "".join(event.text.text for event in events) == "aaa"  # the fake engine's obedience


@pytest.mark.parametrize(
    ("constraint", "field"),
    [
        ({}, "constraint"),
        ({"json_schema": '{"type": 5'}, "constraint.json_schema"),
        ({"json_schema": '{"not": {"type": "string"}}'}, "constraint.json_schema"),
        ({"regex": "("}, "constraint.regex"),
        ({"regex": ""}, "constraint.regex"),
        ({"choices": {"texts": ["a", ""]}}, "constraint.choices.texts[1]"),
        ({"grammar": "no rule"}, "constraint.grammar"),
        ({"grammar": 'root ::= "a" # !crash'}, "constraint.grammar"),
    ],
)
async def test_form_that_is_wrong_is_refused_alone(
    client: Any, refusal: AnyCall, constraint: dict[str, Any], field: str
) -> None:
    pid = (await client.replica()).pid
    good = [asyncio.create_task(client.answer(f"number {i}", "slow")) for i in range(4)]
    call = client.inference.Generate(constrained(**constraint), timeout=20)
    assert await refusal(call) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})
    assert [(await answer).text for answer in good] == [f"number {i}" for i in range(4)]
    assert (await client.replica()).pid == pid


async def test_grammar_that_takes_long_holds_up_nobody(
    start_service: AnyCall, refusal: AnyCall
) -> None:
    service = await start_service({"echo": {"grammar_compile_seconds": 0.5}})
    client = service.client
    endless = client.inference.Generate(constrained(grammar='root ::= "a" # !spin'), timeout=30)
    refused = asyncio.create_task(refusal(endless))
    while not refused.done():
        assert (await client.answer("beside")).text == "beside"
    code, reason, metadata = await refused
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert metadata == {"field": "constraint.grammar"}


@pytest.mark.parametrize("name", ["ignore_eos", "min_tokens"])
async def test_form_and_what_would_break_it_are_refused(
    client: Any, refusal: AnyCall, name: str
) -> None:
    request = constrained(regex="a+")
    setattr(request.sampling, name, 1)
    call = client.inference.Generate(request, timeout=20)
    field = {"field": f"sampling.{name}"}
    assert await refusal(call) == (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", field)
