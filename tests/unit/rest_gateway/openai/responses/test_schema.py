import json
from typing import Any

import pytest
from openai.types.responses import response_create_params
from pydantic import ValidationError

from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.responses.parameters import PARAMETERS
from rest_gateway.openai.responses.schema import (
    ResponseRequest,
    parse_input_tokens_request,
    parse_response_request,
)

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def parse(**sent: Any) -> ResponseRequest:
    return parse_response_request(json.dumps({"model": "m", "input": "Hi"} | sent).encode())


def refusal(**sent: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(**sent)
    assert caught.value.status == 400
    return caught.value


def test_table_has_every_parameter_of_openais() -> None:
    sent = response_create_params.ResponseCreateParamsBase.__annotations__.keys() | {"stream"}
    assert set(PARAMETERS) == sent | {"client_metadata", "keep_alive"}  # Codex's, and Ollama's


def test_schema_has_what_the_table_does_not_refuse() -> None:
    taken = {name for name, one in PARAMETERS.items() if one.support != "refused"}
    assert set(ResponseRequest.model_fields) == taken


@pytest.mark.parametrize(
    "name", [name for name, one in PARAMETERS.items() if one.support == "refused"]
)
def test_refused_parameters(name: str) -> None:
    parse(**{name: None})
    for neutral in PARAMETERS[name].neutral:
        parse(**{name: neutral})
    error = refusal(**{name: {"some": "thing"}})
    assert (error.param, error.code) == (name, "unsupported_parameter")
    assert PARAMETERS[name].reason.replace("`", "'") in error.message


@pytest.mark.parametrize(
    ("sent", "param", "code", "said"),
    [
        ({"frobnicate": 1}, "frobnicate", "unknown_parameter", "Unrecognized"),
        ({"input": 3}, "input", "invalid_type", "a string or a list of items"),
        ({"input": []}, "input", "invalid_value", "must not be empty"),
        ({"input": [5]}, "input[0]", "invalid_type", "must be an object"),
        ({"input": [{"type": 5}]}, "input[0].type", "invalid_type", "must be a string"),
        (
            {"input": [{"type": "web_search_call"}]},
            "input[0].type",
            "unsupported_parameter",
            "items of type 'web_search_call'",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
            "unsupported_parameter",
            "'input_image'",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
            "missing_required_parameter",
            "Missing",
        ),
        (
            {"input": [{"role": "user", "content": "x", "colour": 1}]},
            "input[0].colour",
            "unknown_parameter",
            "Unrecognized",
        ),
        (
            {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{"}]},
            "input[0].arguments",
            "invalid_value",
            "must be a JSON object",
        ),
        (
            {
                "input": [
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "[" * 9999}
                ]
            },
            "input[0].arguments",
            "invalid_value",
            "must be a JSON object",
        ),
        (
            {"input": [{"type": "reasoning", "encrypted_content": "x"}]},
            "input[0].encrypted_content",
            "unsupported_parameter",
            "can't read",
        ),
        (
            {"tools": [{"type": "web_search"}]},
            "tools[0].type",
            "unsupported_parameter",
            "'web_search'",
        ),
        ({"tools": [TOOL | {"name": "a b"}]}, "tools[0].name", "invalid_value", "1 to 64"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value", "there are no tools"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}},
            "tool_choice",
            "invalid_value",
            "there is no tool 'g'",
        ),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type", "unsupported_parameter", "'mcp'"),
        ({"tool_choice": 4}, "tool_choice", "invalid_type", "an object with a type"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a"}}},
            "text.format.schema",
            "missing_required_parameter",
            "Missing",
        ),
        (
            {"text": {"format": {"type": "text", "name": "a"}}},
            "text.format.name",
            "invalid_value",
            "only json_schema",
        ),
        ({"text": {"verbosity": "low"}}, "text.verbosity", "invalid_value", "'medium'"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary", "invalid_value", "'auto'"),
        ({"reasoning": {"effort": "max"}}, "reasoning.effort", "invalid_value", "'xhigh'"),
        (
            {"include": ["file_search_call.results"]},
            "include",
            "unsupported_parameter",
            "can't be included",
        ),
        (
            {"background": True, "stream": True},
            "stream",
            "unsupported_parameter",
            "can't be streamed",
        ),
        ({"background": True, "store": False}, "store", "invalid_value", "must be stored"),
        (
            {"stream_options": {"include_obfuscation": True}},
            "stream_options",
            "invalid_value",
            "stream: true",
        ),
        ({"metadata": {"a": "b" * 513}}, "metadata", "invalid_value", "512"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value", "16"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value", "at least 1"),
        ({"temperature": "1"}, "temperature", "invalid_type", "a number"),
    ],
)
def test_refusals(sent: dict[str, Any], param: str, code: str, said: str) -> None:
    error = refusal(**sent)
    assert (error.param, error.code) == (param, code)
    assert said in error.message


def test_kinds_of_items_without_a_type() -> None:
    request = parse(input=[{"role": "user", "content": "x"}, {"id": "msg_1"}])
    assert [type(item).__name__ for item in request.input] == ["MessageItem", "ItemReference"]


def test_schemas_keep_order_and_large_numbers() -> None:
    schema = {"type": "object", "z": 10**30, "a": 1}
    form = {"type": "json_schema", "name": "n", "schema": schema}
    request = parse(tools=[TOOL | {"parameters": schema}], text={"format": form})
    written = '{"type":"object","z":1000000000000000000000000000000,"a":1}'
    assert request.tools
    assert request.tools[0].parameters == written
    assert request.text
    assert request.text.format
    assert request.text.format.json_schema == written


def test_numbers_that_json_has_not_are_refused() -> None:
    tool = b'{"type": "function", "name": "f", "parameters": {"a": 1e999}}'
    body = b'{"model": "m", "input": "x", "tools": [' + tool + b"]}"
    with pytest.raises(ApiError, match="too large") as caught:
        parse_response_request(body)
    assert caught.value.param == "tools[0].parameters"


def test_counting_takes_no_parameters_of_the_answer() -> None:
    parse_input_tokens_request(b'{"model": "m", "input": "x", "truncation": "auto"}')
    with pytest.raises(ApiError, match="Unrecognized"):
        parse_input_tokens_request(b'{"model": "m", "input": "x", "temperature": 1}')


def test_requests_do_not_change() -> None:
    with pytest.raises(ValidationError):
        parse().model = "other"  # type: ignore[misc]
