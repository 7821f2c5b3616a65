"""The table of parameters is what the schema does."""

import json
from typing import Any

import pytest
from openai.types.chat import completion_create_params

from rest_gateway.openai.chat.parameters import PARAMETERS
from rest_gateway.openai.chat.schema import ChatCompletionRequest, parse_chat_completion
from rest_gateway.openai.chat.translate import request_to_proto
from rest_gateway.openai.errors import ApiError

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
REFUSED = {name: row for name, row in PARAMETERS.items() if row.support == "refused"}


def parse(**changes: Any) -> ChatCompletionRequest:
    return parse_chat_completion(json.dumps(ASK | changes).encode())


def test_table_has_every_field_and_no_other() -> None:
    known = set(ChatCompletionRequest.model_fields)
    assert known.isdisjoint(REFUSED)
    assert known | set(REFUSED) == set(PARAMETERS)


def test_table_has_every_parameter_of_openai() -> None:
    base = completion_create_params.CompletionCreateParamsBase
    assert set(base.__annotations__) - set(PARAMETERS) == set()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_asks_for_nothing_is_accepted(name: str) -> None:
    for value in (None, *REFUSED[name].neutral):
        parse(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_logprobs", 3),
        ("top_logprobs", False),
        ("store", True),
        ("service_tier", "flex"),
        ("functions", [{"name": "f"}]),
        ("function_call", {"name": "f"}),
        ("logit_bias", {"5": 1}),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "x"}),
        ("moderation", {"model": "x"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("verbosity", "low"),
        ("web_search_options", {}),
    ],
)
def test_what_can_not_be_done_is_refused(name: str, value: object) -> None:
    with pytest.raises(ApiError) as caught:
        parse(**{name: value})
    error = caught.value
    assert (error.status, error.param, error.code) == (400, name, "unsupported_parameter")
    assert PARAMETERS[name].reason.replace("`", "'") in error.message


@pytest.mark.parametrize(
    "name", sorted(name for name, row in PARAMETERS.items() if row.support == "ignored")
)
def test_what_is_ignored_changes_nothing(name: str) -> None:
    value: Any = {
        "add_generation_prompt": True,
        "metadata": {"a": "b"},
        "prompt_cache_options": {"mode": "implicit"},
        "prompt_cache_retention": "24h",
    }.get(name, "x")
    assert request_to_proto(parse(**{name: value})) == request_to_proto(parse())
