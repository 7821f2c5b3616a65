import json
from typing import Any

import pytest
from anthropic.types import MessageCountTokensParams
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming

from rest_gateway.anthropic.parameters import PARAMETERS
from rest_gateway.anthropic.schema import (
    CountTokensRequest,
    MessagesRequest,
    parse_count_tokens,
    parse_messages,
)
from rest_gateway.openai.errors import ApiError

HI = [{"role": "user", "content": "Hi"}]
TOOL = {"name": "weather", "input_schema": {"type": "object"}}


def parse(**values: Any) -> MessagesRequest:
    return parse_messages(
        json.dumps({"model": "m", "max_tokens": 9, "messages": HI} | values).encode()
    )


def refusal(**values: Any) -> str:
    with pytest.raises(ApiError) as caught:
        parse(**values)
    assert caught.value.status == 400
    return caught.value.message


def content(*blocks: Any, role: str = "user") -> list[Any]:
    return [{"role": role, "content": list(blocks)}]


def test_every_parameter_has_a_row() -> None:
    fields = MessagesRequest.model_fields.keys() | CountTokensRequest.model_fields.keys()
    taken = {name for name, row in PARAMETERS.items() if row.support != "refused"}
    assert fields == taken


def test_anthropics_own_parameters_have_rows() -> None:
    kinds: Any = (MessageCreateParamsStreaming, MessageCountTokensParams, BetaParams)
    known = {name for kind in kinds for name in kind.__annotations__} - {"betas"}  # a header
    assert known - PARAMETERS.keys() == set()


@pytest.mark.parametrize("name", [n for n, row in PARAMETERS.items() if row.support == "refused"])
def test_refused_parameters_are_named(name: str) -> None:
    assert refusal(**{name: {"a": 1}}).startswith(f"{name}: it is not supported")
    assert parse(**{name: None}).model == "m"
    for neutral in PARAMETERS[name].neutral:
        assert parse(**{name: neutral}).model == "m"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": 1}, "seed: Extra inputs are not permitted"),
        ({"max_tokens": 0}, "max_tokens: must be at least 1"),
        ({"max_tokens": None}, "max_tokens: must be an integer"),
        ({"temperature": 1.5}, "temperature: must be at most 1"),
        ({"top_p": 0}, "top_p: must be greater than 0"),
        ({"top_k": -1}, "top_k: must be at least 0"),
        ({"stop_sequences": [""]}, "stop_sequences.0: must not be empty"),
        ({"stop_sequences": ["a"] * 17}, "stop_sequences: must have at most 16 items"),
        ({"service_tier": "flex"}, "service_tier: must be 'auto' or 'standard_only'"),
        ({"messages": []}, "messages: must not be empty"),
        ({"system": [{"type": "image"}]}, "system.0.type: blocks of type 'image' are not"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens: Field required"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type: 'between_tools' is not"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1023}},
            "thinking.budget_tokens: must be at least 1024",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1024},
            "thinking.budget_tokens: must be less than max_tokens",
        ),
        (
            {"thinking": {"type": "adaptive", "budget_tokens": 1024}},
            "thinking.budget_tokens: only thinking of the type 'enabled' has it",
        ),
        (
            {"thinking": {"type": "disabled", "display": "omitted"}},
            "thinking.display: there is nothing to display",
        ),
        (
            {
                "output_format": {"type": "json_schema", "schema": {}},
                "output_config": {"format": {"type": "json_schema", "schema": {}}},
            },
            "output_format: contradicts output_config.format",
        ),
        ({"output_config": {"task_budget": 1}}, "output_config.task_budget: Extra inputs"),
    ],
)
def test_refusals(values: dict[str, Any], message: str) -> None:
    assert refusal(**values).startswith(message)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "tool", "content": "x"}], "messages.0: must be an object whose role is"),
        ([{"role": "user"}], "messages.0.content: Field required"),
        ([{"role": "user", "content": 3}], "messages.0.content: must be a string or a list of"),
        ([{"role": "user", "content": "x", "name": "n"}], "messages.0.name: Extra inputs are"),
        (content(), "messages.0.content: must not be empty"),
        (content({"text": "x"}), "messages.0.content.0: must be an object with a type"),
        (
            content({"type": "text", "text": "x"}, {"type": "image", "source": {}}),
            "messages.0.content.1.type: blocks of type 'image' are not supported here; only",
        ),
        (
            content({"type": "document", "source": {}}),
            "messages.0.content.0.type: blocks of type 'document' are not supported here",
        ),
        (
            content({"type": "tool_use", "id": "a", "name": "n", "input": {}}),
            "messages.0.content.0.type: blocks of type 'tool_use' are not supported here",
        ),
        (
            content({"type": "tool_result", "tool_use_id": "a"}, role="assistant"),
            "messages.0.content.0.type: blocks of type 'tool_result' are not supported here",
        ),
        (
            content({"type": "tool_use", "id": "a", "name": "n", "input": "{}"}, role="assistant"),
            "messages.0.content.0.tool_use.input: must be an object",
        ),
        (
            content({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image"}]}),
            "messages.0.content.0.tool_result.content.0.type: blocks of type 'image' are",
        ),
        (
            content({"type": "text", "text": "x", "citations": [{}]}),
            "messages.0.content.0.text.citations: must be empty",
        ),
        (
            content({"type": "text", "text": "x", "cache_control": {"type": "for ever"}}),
            "messages.0.content.0.text.cache_control.type: must be 'ephemeral'",
        ),
        (
            content({"type": "tool_use", "id": "a", "name": "n", "input": {}}, role="assistant"),
            "messages.0.content: the conversation ends before the result of a tool's use",
        ),
        (
            content({"type": "thinking", "thinking": "x", "signature": ""}, role="assistant"),
            "messages.0.content: the answer can go on only from a block of text",
        ),
    ],
)
def test_refused_messages(messages: list[Any], message: str) -> None:
    assert refusal(messages=messages).startswith(message)


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({"type": "web_search_20260209", "name": "web_search"}, "type: tools of type 'web_search"),
        ({"name": "x"}, "input_schema: Field required"),
        (TOOL | {"input_schema": "{}"}, "input_schema: must be an object"),
        (TOOL | {"defer_loading": True}, "defer_loading: there is no search for tools"),
        (TOOL | {"allowed_callers": ["code"]}, "allowed_callers.0: must be 'direct'"),
        (TOOL | {"input_examples": [{}]}, "input_examples: must be empty"),
        (TOOL | {"parameters": {}}, "parameters: Extra inputs are not permitted"),
    ],
)
def test_refused_tools(tool: Any, message: str) -> None:
    assert refusal(tools=[TOOL, tool]).startswith(f"tools.1.{message}")


@pytest.mark.parametrize("keep", ["all", {"type": "all"}])
def test_edits_that_change_nothing_are_taken(keep: Any) -> None:
    parse(context_management={"edits": [{"type": "clear_thinking_20251015", "keep": keep}]})
    parse(context_management={"edits": []})


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"type": "clear_tool_uses_20250919"}, "type"),
        ({}, "type"),
        ({"type": "clear_thinking_20251015"}, "keep"),
        (
            {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}},
            "keep",
        ),
    ],
)
def test_refused_edits(edit: Any, field: str) -> None:
    message = refusal(context_management={"edits": [edit]})
    assert message.startswith(f"context_management.edits.0.{field}: nothing is edited or compacted")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"type": "required"}, "type: must be 'auto', 'any', 'tool' or 'none'"),
        ({"type": "tool"}, "name: Field required"),
        ({"type": "any", "name": "x"}, "name: only a choice of the type 'tool' has it"),
    ],
)
def test_refused_tool_choices(choice: Any, message: str) -> None:
    assert refusal(tools=[TOOL], tool_choice=choice) == f"tool_choice.{message}"


def test_what_sdks_send_back_with_null_is_taken() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    request = parse(
        cache_control=mark,
        metadata={"user_id": "u"},
        service_tier="standard_only",
        system=[{"type": "text", "text": "Be brief.", "cache_control": mark}],
        tools=[TOOL | {"type": "custom", "cache_control": mark, "allowed_callers": ["direct"]}],
        messages=[
            *HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "text", "text": "x", "citations": None},
                    {
                        "type": "tool_use",
                        "id": "a",
                        "name": "weather",
                        "input": {},
                        "caller": {"type": "direct"},
                        "toolset_name": None,
                        "cache_control": mark,
                    },
                ],
            },
            *content({"type": "tool_result", "tool_use_id": "a", "cache_control": mark}),
        ],
    )
    assert len(request.messages) == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The request's body is not valid JSON: "),
        (b"[]", "body: must be a JSON object"),
        (b'{"max_tokens": 1, "model": "m"}', "messages: Field required"),
        (b'{"messages": [], "model": "m"}', "messages: must not be empty"),
    ],
)
def test_bodies(body: bytes, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_messages(body)
    assert caught.value.message.startswith(message)


def test_model_that_no_model_can_be() -> None:
    with pytest.raises(ApiError) as caught:
        parse(model="m" * 300)
    assert caught.value.status == 404


def test_count_of_tokens_takes_no_sampling() -> None:
    body = {"model": "m", "messages": HI}
    assert parse_count_tokens(json.dumps(body).encode()).system is None
    with pytest.raises(ApiError, match="max_tokens: Extra inputs are not permitted"):
        parse_count_tokens(json.dumps(body | {"max_tokens": 3}).encode())
