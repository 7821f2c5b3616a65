from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino_server.v1 import chat_pb2, health_pb2, inference_pb2, models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument, Unsupported
from inference_service.rpc import mapping

NAN, INFINITY = math.nan, math.inf


def message(*texts: str, role: Any = chat_pb2.ROLE_USER, **rest: Any) -> chat_pb2.ChatMessage:
    parts = [chat_pb2.ContentPart(text=text) for text in texts]
    return chat_pb2.ChatMessage(role=role, content=parts, **rest)


def chat(*messages: chat_pb2.ChatMessage, **rest: Any) -> dict[str, Any]:
    return {"chat": chat_pb2.ChatInput(messages=messages, **rest)}


def request(**fields: Any) -> inference_pb2.GenerateRequest:
    """A request that is good but for the fields given."""
    sampling = fields.pop("sampling", {})
    if not {"chat", "prompt", "token_ids"} & fields.keys():
        fields["prompt"] = "x"
    return inference_pb2.GenerateRequest(
        **{"model": "m"} | fields, sampling=inference_pb2.SamplingParams(**sampling)
    )


def test_conversation() -> None:
    roles = {
        chat_pb2.ROLE_DEVELOPER: domain.Role.DEVELOPER,
        chat_pb2.ROLE_SYSTEM: domain.Role.SYSTEM,
        chat_pb2.ROLE_USER: domain.Role.USER,
        chat_pb2.ROLE_ASSISTANT: domain.Role.ASSISTANT,
    }
    messages = [message("a", "", "b", role=role) for role in roles]
    wanted = mapping.generate_request_from_proto(request(**chat(*messages, message("", name=""))))
    assert wanted == domain.GenerateRequest(
        "m",
        domain.ChatInput(
            (
                *(domain.Message(role, ("a", "", "b")) for role in roles.values()),
                domain.Message(domain.Role.USER, ("",), name=""),
            )
        ),
    )


def test_prompt_and_token_ids() -> None:
    assert mapping.generate_request_from_proto(request(prompt=" ")).input == (
        domain.PromptInput(" ")
    )
    ids = inference_pb2.TokenIds(ids=[0, 2**32 - 1])
    assert mapping.generate_request_from_proto(request(token_ids=ids)).input == (
        domain.TokenIdsInput((0, 2**32 - 1))
    )


def test_what_is_unset_is_none() -> None:
    assert mapping.generate_request_from_proto(request()).sampling == domain.SamplingParams()


# The ends of each range are allowed, 0 among them, and 0 is not unset.
ENDS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.5, 1.0),
    "top_k": (1, 2**32 - 1),
    "min_p": (0.0, 0.5),
    "seed": (0, 2**32 - 1),
    "presence_penalty": (-2.0, 0.0, 2.0),
    "frequency_penalty": (-2.0, 0.0, 2.0),
    "repetition_penalty": (0.5, 2.0),
    "max_tokens": (1, 2**32 - 1),
    "min_tokens": (0, 2**32 - 1),
    "ignore_eos": (True, False),
    "stop": (("a",) * 16, (" ", "\0", "é")),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ENDS.items() for value in values]
)
def test_ends_of_ranges_are_kept(name: str, value: object) -> None:
    wanted = mapping.generate_request_from_proto(request(sampling={name: value}))
    assert getattr(wanted.sampling, name) == value


def test_every_sampling_field_is_tested() -> None:
    assert set(ENDS) == set(inference_pb2.SamplingParams.DESCRIPTOR.fields_by_name)


SAMPLING_FAULTS: list[tuple[str, Any]] = [
    *(("temperature", value) for value in (-0.1, 2.1, NAN, INFINITY, -INFINITY)),
    *(("top_p", value) for value in (0.0, -0.1, 1.1, NAN)),
    ("top_k", 0),
    *(("min_p", value) for value in (-0.1, 1.0, NAN)),
    *(("presence_penalty", value) for value in (-2.1, 2.1, NAN)),
    *(("frequency_penalty", value) for value in (-2.1, 2.1, NAN)),
    *(("repetition_penalty", value) for value in (0.0, -1.0, 2.1, NAN, INFINITY)),
    ("max_tokens", 0),
    ("stop", ["a"] * 17),
    ("stop", ["a", ""]),
]
FAULTS = [
    ({"model": ""}, "model"),
    ({"prompt": ""}, "prompt"),
    ({"token_ids": inference_pb2.TokenIds()}, "token_ids.ids"),
    (chat(), "chat.messages"),
    (chat(message("x"), message("x", role=0)), "chat.messages[1].role"),
    (chat(message("x", role=99)), "chat.messages[0].role"),
    (chat(message()), "chat.messages[0].content"),
    (
        chat(chat_pb2.ChatMessage(role=2, content=[{"text": "x"}, {}])),
        "chat.messages[0].content[1]",
    ),
    ({"sampling": {"max_tokens": 2, "min_tokens": 3}}, "sampling.min_tokens"),
    *(({"sampling": {name: value}}, f"sampling.{name}") for name, value in SAMPLING_FAULTS),
]


@pytest.mark.parametrize(("fields", "field"), FAULTS)
def test_invalid_field_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        mapping.generate_request_from_proto(request(**fields))
    assert caught.value.metadata == {"field": field}
    assert str(caught.value).startswith(f"{field}: ")


def test_input_is_required() -> None:
    with pytest.raises(InvalidArgument) as caught:
        mapping.generate_request_from_proto(inference_pb2.GenerateRequest(model="m"))
    assert caught.value.metadata == {"field": "input"}


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        (chat(message("x"), tools=[chat_pb2.Tool(name="f")]), "chat.tools"),
        (
            chat(message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[{"id": "1"}])),
            "chat.messages[0].tool_calls",
        ),
        (chat(message("x", role=chat_pb2.ROLE_TOOL)), "chat.messages[0].role"),
    ],
)
def test_what_is_not_done_yet_is_said(fields: dict[str, Any], feature: str) -> None:
    with pytest.raises(Unsupported) as caught:
        mapping.generate_request_from_proto(request(**fields))
    assert caught.value.metadata == {"feature": feature}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
UINT = st.sampled_from([0, 1, 5, 2**32 - 1])
FLOAT = st.floats(width=32)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


MESSAGES = optional(
    role=st.integers(-1, 9),
    content=st.lists(optional(text=TEXT), max_size=2),
    name=TEXT,
    tool_calls=st.lists(optional(id=TEXT, name=TEXT, arguments_json=TEXT), max_size=1),
    tool_call_id=TEXT,
)
INPUTS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"prompt": TEXT}),
    st.fixed_dictionaries({"token_ids": optional(ids=st.lists(UINT, max_size=3))}),
    st.fixed_dictionaries(
        {
            "chat": optional(
                messages=st.lists(MESSAGES, max_size=3),
                tools=st.lists(optional(name=TEXT), max_size=1),
            )
        }
    ),
)
SAMPLING = optional(
    **dict.fromkeys(
        ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"), FLOAT
    ),
    repetition_penalty=FLOAT,
    **dict.fromkeys(("top_k", "seed", "max_tokens", "min_tokens"), UINT),
    stop=st.lists(TEXT, max_size=18),
    ignore_eos=st.booleans(),
)


@given(optional(model=TEXT, sampling=SAMPLING), INPUTS)
def test_any_request_is_taken_or_refused_with_a_meaning(
    fields: dict[str, Any], prompt: dict[str, Any]
) -> None:
    proto = inference_pb2.GenerateRequest(**fields, **prompt)
    try:
        wanted = mapping.generate_request_from_proto(proto)
    except (InvalidArgument, Unsupported):
        return
    for name in inference_pb2.SamplingParams.DESCRIPTOR.fields_by_name:
        value = getattr(wanted.sampling, name)
        if name not in {"stop", "ignore_eos"}:
            assert (value is not None) == proto.sampling.HasField(name)  # type: ignore[arg-type]
        assert not (isinstance(value, float) and not math.isfinite(value))


def test_events() -> None:
    response = mapping.generate_response_to_proto(
        [
            domain.Started(7),
            domain.TextDelta(1, "é"),
            domain.Finished(1, domain.FinishReason.STOP, 7, 3, matched_stop=""),
            domain.Finished(0, domain.FinishReason.LENGTH, 7, 0),
        ]
    )
    usage = inference_pb2.Usage(prompt_tokens=7, completion_tokens=3)
    assert list(response.events) == [
        inference_pb2.GenerateEvent(started=inference_pb2.Started(prompt_tokens=7)),
        inference_pb2.GenerateEvent(index=1, text=inference_pb2.TextDelta(text="é")),
        inference_pb2.GenerateEvent(
            index=1,
            finished=inference_pb2.Finished(
                reason=inference_pb2.FINISH_REASON_STOP, matched_stop="", usage=usage
            ),
        ),
        inference_pb2.GenerateEvent(
            finished=inference_pb2.Finished(
                reason=inference_pb2.FINISH_REASON_LENGTH,
                usage=inference_pb2.Usage(prompt_tokens=7, completion_tokens=0),
            )
        ),
    ]


@pytest.mark.parametrize("state", domain.ModelState)
def test_models(state: domain.ModelState) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    model = mapping.model_to_proto(domain.ModelInfo("m", state, created))
    assert models_pb2.ModelState.Name(model.state) == f"MODEL_STATE_{state.name}"
    assert model.create_time.ToDatetime(UTC) == created
    for name in ("failure", "context_length", "architecture"):
        assert not model.HasField(name)
    full = domain.ModelInfo("m", state, created, "why", 9, "llama", reproducible=True)
    model = mapping.model_to_proto(full)
    assert (model.name, model.failure, model.context_length) == ("m", "why", 9)
    assert (model.architecture, model.reproducible) == ("llama", True)


def test_replicas() -> None:
    status = domain.ReplicaStatus(
        "m", 1, domain.ModelState.READY, 5, 2, 100, 200, 1.5, 0.25, restarts=3
    )
    assert mapping.replica_to_proto(status) == health_pb2.ReplicaStatus(
        model="m",
        replica=1,
        state=models_pb2.MODEL_STATE_READY,
        pid=5,
        outstanding_requests=2,
        steps=100,
        generated_tokens=200,
        last_step_age={"seconds": 1, "nanos": 500_000_000},
        kv_cache_usage=0.25,
        restarts=3,
    )
    idle = domain.ReplicaStatus("m", 0, domain.ModelState.LOADING, None, 0, 0, 0, None, 0.0, 0)
    replica = mapping.replica_to_proto(idle)
    assert not replica.HasField("pid")
    assert not replica.HasField("last_step_age")
