from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc import mapping
from inference_service.rpc.mapping.embedding import (
    embed_request_from_proto,
    rerank_request_from_proto,
)

AnyCall = Callable[..., Any]


def test_conversation(request_of: AnyCall, message: AnyCall) -> None:
    wanted = mapping.generate_request_from_proto(request_of(chat={"messages": [message("a")]}))
    conversation = domain.ChatInput((domain.Message(domain.Role.USER, ("a",)),))
    assert wanted == domain.GenerateRequest("m", conversation)


def test_prompt_and_token_ids(request_of: AnyCall) -> None:
    assert mapping.generate_request_from_proto(request_of(prompt=" ")).input == (
        domain.PromptInput(" ")
    )
    special = request_of(prompt=" ", add_special_tokens=True)
    assert mapping.generate_request_from_proto(special).input == domain.PromptInput(" ", True)
    ids = inference_pb2.TokenIds(ids=[0, 2**32 - 1])
    assert mapping.generate_request_from_proto(request_of(token_ids=ids)).input == (
        domain.TokenIdsInput((0, 2**32 - 1))
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"prompt": ""}, "prompt"),
        ({"token_ids": inference_pb2.TokenIds()}, "token_ids.ids"),
        ({"token_ids": inference_pb2.TokenIds(ids=[1] * ((1 << 20) + 1))}, "token_ids.ids"),
        ({"chat": {}}, "chat.messages"),
        ({"token_ids": {"ids": [1]}, "add_special_tokens": True}, "add_special_tokens"),
        (
            {
                "chat": {"messages": [{"role": 2, "content": [{"text": "a"}]}]},
                "add_special_tokens": True,
            },
            "add_special_tokens",
        ),
    ],
)
def test_invalid_field_is_named(
    request_of: AnyCall, refused_field: AnyCall, fields: dict[str, Any], field: str
) -> None:
    assert refused_field(request_of(**fields)) == field


def test_input_is_required(refused_field: AnyCall) -> None:
    assert refused_field(inference_pb2.GenerateRequest(model="m")) == "input"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
UINT = st.sampled_from([0, 1, 5, 2**32 - 1])
FLOAT = st.floats(width=32)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


JSON = TEXT | st.sampled_from(["{}", "[]", '{"a": 1}', "{", '{"a": NaN}', r'{"a": "\ud800"}'])
IDS = st.sampled_from(["", "1", "2"])
NAMES = TEXT | st.sampled_from(["f", "g"])
MESSAGES = optional(
    role=st.integers(-1, 9),
    content=st.lists(optional(text=TEXT), max_size=2),
    name=TEXT,
    tool_calls=st.lists(optional(id=IDS, name=NAMES, arguments_json=JSON), max_size=2),
    tool_call_id=IDS,
    reasoning=TEXT,
)
CHAT = optional(
    messages=st.lists(MESSAGES, max_size=3),
    tools=st.lists(
        optional(name=NAMES, description=TEXT, parameters_json=JSON, strict=st.booleans()),
        max_size=2,
    ),
    tool_choice=optional(mode=st.integers(-1, 4), functions=st.lists(NAMES, max_size=2)),
    parallel_tool_calls=st.booleans(),
    reasoning_effort=TEXT | st.sampled_from(["low", "high"]),
    template_kwargs_json=JSON,
    continue_final_message=st.booleans(),
)
CONSTRAINT = st.one_of(
    st.just({}),
    *(st.fixed_dictionaries({kind: JSON}) for kind in ("json_schema", "regex", "grammar")),
    st.just({"json_object": {}}),
    st.fixed_dictionaries({"choices": optional(texts=st.lists(TEXT, max_size=3))}),
)
INPUTS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"prompt": TEXT}),
    st.fixed_dictionaries({"token_ids": optional(ids=st.lists(UINT, max_size=3))}),
    st.fixed_dictionaries({"chat": CHAT}),
)
SAMPLING = optional(
    **dict.fromkeys(
        ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"), FLOAT
    ),
    repetition_penalty=FLOAT,
    **dict.fromkeys(("top_k", "seed", "max_tokens", "min_tokens"), UINT),
    stop=st.lists(TEXT, max_size=18),
    ignore_eos=st.booleans(),
    n=UINT,
    logprobs=st.booleans(),
)


@given(
    optional(
        model=TEXT, sampling=SAMPLING, constraint=CONSTRAINT, add_special_tokens=st.booleans()
    ),
    INPUTS,
)
def test_any_request_is_taken_or_refused_with_a_meaning(
    fields: dict[str, Any], prompt: dict[str, Any]
) -> None:
    proto = inference_pb2.GenerateRequest(**fields, **prompt)
    try:
        wanted = mapping.generate_request_from_proto(proto)
    except InvalidArgument:
        return
    for name in inference_pb2.SamplingParams.DESCRIPTOR.fields_by_name:
        value = getattr(wanted.sampling, name)
        if name not in {"stop", "ignore_eos", "n", "logprobs"}:
            assert (value is not None) == proto.sampling.HasField(name)  # type: ignore[arg-type]
        assert not (isinstance(value, float) and not math.isfinite(value))


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [(None, None), ({}, 0), ({"seconds": 300}, 300), ({"seconds": -1}, -1), ({"nanos": 500}, 5e-7)],
)
def test_keep_alive(
    request_of: Callable[..., inference_pb2.GenerateRequest], keep_alive: Any, seconds: float | None
) -> None:
    wanted = mapping.generate_request_from_proto(request_of(keep_alive=keep_alive))
    assert wanted.keep_alive_seconds == seconds
    embed = inference_pb2.EmbedRequest(model="m", texts=["a"], keep_alive=keep_alive)
    assert embed_request_from_proto(embed).keep_alive_seconds == seconds
    rerank = inference_pb2.RerankRequest(
        model="m", query="q", documents=["a"], keep_alive=keep_alive
    )
    assert rerank_request_from_proto(rerank).keep_alive_seconds == seconds


def test_keep_alive_is_bounded(
    request_of: Callable[..., inference_pb2.GenerateRequest], refused_field: Callable[..., str]
) -> None:
    for sign in (1, -1):
        request = request_of(keep_alive={"seconds": sign * 11 * 366 * 86400})
        assert refused_field(request) == "keep_alive"
