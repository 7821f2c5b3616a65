import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import completion_create_params

from rest_gateway.openai.completions.parameters import PARAMETERS
from rest_gateway.openai.completions.schema import CompletionRequest, parse_completion
from rest_gateway.openai.completions.translate import request_to_protos
from rest_gateway.openai.errors import ApiError

REFUSED = {name: row for name, row in PARAMETERS.items() if row.support == "refused"}


def parse(**changes: Any) -> CompletionRequest:
    return parse_completion(json.dumps({"model": "m", "prompt": "Hi"} | changes).encode())


def refused(**changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(**changes)
    assert caught.value.status == 400
    return caught.value


def test_table_has_every_field_and_every_parameter_of_openai() -> None:
    known = set(CompletionRequest.model_fields)
    assert known.isdisjoint(REFUSED)
    assert known | set(REFUSED) == set(PARAMETERS)
    base = completion_create_params.CompletionCreateParamsBase
    assert set(base.__annotations__) - set(PARAMETERS) == set()


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
    ],
)
def test_prompts(prompt: Any, prompts: list[Any]) -> None:
    assert parse(prompt=prompt).prompts == prompts


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        (5, "prompt"),
        (None, "prompt"),
        ([], "prompt"),
        ([None], "prompt[0]"),
        (["a", 1], "prompt[1]"),
        ([1, "a"], "prompt[1]"),
        ([True], "prompt[0]"),
        ([-1], "prompt[0]"),
        ([2**32], "prompt[0]"),
        ([[1], []], "prompt[1]"),
        ([[1], "a"], "prompt[1]"),
        (["a"] * 129, "prompt"),
    ],
)
def test_bad_prompts(prompt: Any, param: str) -> None:
    assert refused(prompt=prompt).param == param


def test_prompt_is_required() -> None:
    with pytest.raises(ApiError) as caught:
        parse_completion(b'{"model": "m"}')
    assert (caught.value.param, caught.value.code) == ("prompt", "missing_required_parameter")


def test_completions_are_bounded_over_all_prompts() -> None:
    assert parse(prompt=["a"] * 64, n=2).choices == 2
    assert refused(prompt=["a"] * 65, n=2).param == "n"


@pytest.mark.parametrize(("best_of", "n"), [(1, None), (1, 1), (3, 3), (None, 3)])
def test_best_of_all(best_of: int | None, n: int | None) -> None:
    assert parse(best_of=best_of, n=n).best_of == best_of


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"best_of": 2}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"logprobs": 1}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
    ],
)
def test_what_can_not_be_done_is_refused(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)
    assert (error.param, error.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_asks_for_nothing_is_accepted(name: str) -> None:
    for value in (None, *REFUSED[name].neutral):
        parse(**{name: value})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": -1}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ""}, "stop"),
        ({"stream_options": {}}, "stream_options"),
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_choice"),
        ({"messages": []}, "messages"),
        ({"tools": []}, "tools"),
    ],
)
def test_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


def test_names_that_no_model_has() -> None:
    with pytest.raises(ApiError) as caught:
        parse(model="x" * 257)
    assert caught.value.status == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # the time a machine under load takes says nothing
@given(st.dictionaries(st.sampled_from([*PARAMETERS, "other"]), JSON, max_size=6))
def test_any_json_is_translated_or_refused(changes: dict[str, object]) -> None:
    # Any other exception would be a 500.
    with contextlib.suppress(ApiError):
        request_to_protos(parse(**changes))
