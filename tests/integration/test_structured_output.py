"""Structured output: what is asked is enforced, and what can't be fails alone."""

from __future__ import annotations

import asyncio
import json
import re

import grpc.aio
import jsonschema
import pytest
from openvino_server.v1 import inference_pb2, inference_pb2_grpc

from benchmarks.load import prompts
from tests.integration.conftest import MODEL, REPRODUCIBLE, Replicas

STREAMS = 16
TOKENS = 60
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 18, "maximum": 67},
        "kind": {"enum": ["cat", "dog"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}
# Each of the places after an "a" is one where the compiler can't tell which repetition it is in.
SLOW = 'root ::= (("a" | "b"){1,300} | [a-z]{1,3000}){1,300}'


async def generate(
    stub: inference_pb2_grpc.InferenceServiceStub,
    text: str,
    tokens: int = TOKENS,
    model: str = MODEL,
    **constraint,
) -> tuple[str, inference_pb2.Finished]:
    request = inference_pb2.GenerateRequest(
        model=model,
        prompt=text,
        sampling=inference_pb2.SamplingParams(max_tokens=tokens, seed=1),
        constraint=inference_pb2.OutputConstraint(**constraint) if constraint else None,
    )
    answer, finished = "", None
    async for message in stub.Generate(request):
        for event in message.events:
            match event.WhichOneof("event"):
                case "text":
                    answer += event.text.text
                case "finished":
                    finished = event.finished
    return answer, finished


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> inference_pb2_grpc.InferenceServiceStub:
    return inference_pb2_grpc.InferenceServiceStub(channel)


async def test_a_bad_form_in_the_midst_of_good_streams_fails_alone(
    stub: inference_pb2_grpc.InferenceServiceStub, replicas: Replicas
) -> None:
    before = await replicas.status()
    good = [
        asyncio.create_task(generate(stub, text, json_schema=json.dumps(SCHEMA)))
        if place % 4 == 0
        else asyncio.create_task(generate(stub, text))
        for place, text in enumerate(prompts(STREAMS, "structured"))
    ]
    bad = [
        {"json_schema": '{"type": 5'},
        {"json_schema": '{"type": "nonsense"}'},
        {"json_schema": '{"not": {}}'},
        {"regex": "[a-z"},
        {"grammar": "root ::= nowhere"},
        {"grammar": SLOW},
    ]
    for constraint in bad:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await generate(stub, "A", **constraint)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, constraint
        assert f"constraint.{next(iter(constraint))}: " in refused.value.details()
    answers = await asyncio.gather(*good)
    assert len(answers) == STREAMS
    assert all(finished.usage.completion_tokens > 0 for _, finished in answers)
    for text, finished in answers[::4]:
        if finished.reason == inference_pb2.FINISH_REASON_STOP:
            jsonschema.validate(json.loads(text), SCHEMA)
    after = await replicas.status()
    assert (after.pid, after.restarts) == (before.pid, before.restarts)


async def test_too_slow_a_form_says_so(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="takes longer than 1 s to compile"):
        await generate(stub, "A", grammar=SLOW + "\n")


async def test_a_long_bounded_string_is_taken_by_default(
    stub: inference_pb2_grpc.InferenceServiceStub,
) -> None:
    schema = {"type": "string", "minLength": 1, "maxLength": 100}
    text, _ = await generate(stub, "Hi", 100, REPRODUCIBLE, json_schema=json.dumps(schema))
    assert text.startswith('"')


async def test_the_compilers_message_is_told(
    stub: inference_pb2_grpc.InferenceServiceStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await generate(stub, "A", grammar="root ::= nowhere")
    assert 'Rule "nowhere" is not defined' in refused.value.details()


async def test_what_is_asked_is_what_comes(
    stub: inference_pb2_grpc.InferenceServiceStub,
) -> None:
    text, _ = await generate(stub, "A person:", 200, json_schema=json.dumps(SCHEMA))
    jsonschema.validate(json.loads(text), SCHEMA)
    text, _ = await generate(stub, "My date of birth is", regex=r"\d{4}-\d{2}-\d{2}")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)
    choices = inference_pb2.Choices(texts=["yes, é", "no"])
    text, _ = await generate(stub, "Is it?", choices=choices)
    assert text in choices.texts
    text, _ = await generate(stub, "Say:", grammar='root ::= ("ab" | "ba"){3}')
    assert re.fullmatch("(ab|ba){3}", text)
    text, finished = await generate(stub, "{", 300, json_object=inference_pb2.JsonObject())
    assert text.startswith("{")
    if finished.reason == inference_pb2.FINISH_REASON_STOP:
        assert isinstance(json.loads(text), dict)
