import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.completions.schema import CompletionRequest, parse_completion
from rest_gateway.openai.completions.translate import names_of, request_to_protos

Request = inference_pb2.GenerateRequest


def parse(**fields: Any) -> CompletionRequest:
    return parse_completion(json.dumps({"model": "m", "prompt": "Hi"} | fields).encode())


def test_one_prompt() -> None:
    sampling = inference_pb2.SamplingParams(max_tokens=16)
    wanted = Request(model="m", prompt="Hi", sampling=sampling, add_special_tokens=True)
    assert request_to_protos(parse()) == [wanted]
    assert request_to_protos(parse(add_special_tokens=None)) == [wanted]
    wanted.add_special_tokens = False
    assert request_to_protos(parse(add_special_tokens=False)) == [wanted]


def test_each_prompt_has_its_request() -> None:
    given: dict[str, Any] = {"seed": 7, "n": 2, "max_tokens": 3}
    sampling = inference_pb2.SamplingParams(logprobs=True, **given)
    form = inference_pb2.OutputConstraint(regex="a")
    first, second = request_to_protos(
        parse(prompt=[[1, 2], [3]], logprobs=0, guided_regex="a", **given)
    )
    ids = inference_pb2.TokenIds
    assert first == Request(
        model="m", token_ids=ids(ids=[1, 2]), sampling=sampling, constraint=form
    )
    assert second.token_ids == ids(ids=[3])
    assert second.sampling == sampling
    assert [one.prompt for one in request_to_protos(parse(prompt=["a", ""]))] == ["a", ""]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [("a", "prompt"), ([1, 2], "prompt"), (["a", "b"], "prompt[1]"), ([[1], [2]], "prompt[1]")],
)
def test_names_are_the_clients(prompt: Any, name: str) -> None:
    names = names_of(parse(prompt=prompt, guided_regex="a"), 1)
    for field in ("prompt", "token_ids.ids", "token_ids.ids[3]", "chat.messages"):
        assert names.sent_as(field) == name
    assert names.sent_as("constraint.regex") == "guided_regex"
    assert names.sent_as("sampling.max_tokens") == "max_tokens"
