import json
from typing import Any

import grpc
import pytest

from rest_gateway.openai.chat.schema import parse_chat_completion
from rest_gateway.openai.chat.translate import names_of
from rest_gateway.openai.failures import from_upstream, to_api_error
from rest_gateway.upstream import UpstreamError


def said(reason: str, metadata: dict[str, str], **sent: Any) -> Any:
    request = parse_chat_completion(json.dumps({"model": "m"} | sent).encode())
    error = UpstreamError(grpc.StatusCode.INVALID_ARGUMENT, reason, "too long", metadata)
    return to_api_error(error, names_of(request))


MESSAGES = {"messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("metadata", "sent", "param"),
    [
        ({"prompt_tokens": "9", "context_length": "8"}, MESSAGES, "messages"),
        ({"prompt_tokens": "9", "context_length": "8"}, {"prompt": "x"}, "prompt"),
        ({"prompt_tokens": "8", "context_length": "8", "max_tokens": "1"}, MESSAGES, "messages"),
        ({"prompt_tokens": "7", "context_length": "8", "max_tokens": "2"}, MESSAGES, "max_tokens"),
        (
            {"prompt_tokens": "7", "context_length": "8", "max_tokens": "2"},
            {"prompt": "x", "max_completion_tokens": 2},
            "max_completion_tokens",
        ),
        ({"max_tokens": "2"}, MESSAGES, "messages"),
        ({"prompt_tokens": "?", "context_length": "8", "max_tokens": "2"}, MESSAGES, "messages"),
    ],
)
def test_too_long(metadata: dict[str, str], sent: dict[str, Any], param: str) -> None:
    error = said("CONTEXT_LENGTH_EXCEEDED", metadata, **sent)
    assert (error.param, error.code) == (param, "context_length_exceeded")


def test_parameters_have_the_name_that_was_sent() -> None:
    assert said("CHAT_TEMPLATE", {"model": "m"}, prompt="x").param == "prompt"
    limit = {"field": "sampling.max_tokens"}
    error = said("INVALID_ARGUMENT", limit, prompt="x", max_completion_tokens=2)
    assert error.param == "max_completion_tokens"
    field = {"field": "chat.messages[0].content"}
    assert said("INVALID_ARGUMENT", field, prompt="x").param == "prompt"
    assert said("INVALID_ARGUMENT", field, **MESSAGES).param == "messages[0].content"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("loading", "The model 'm' is loading."),
        ("restarting", "The model 'm' is restarting."),
        ("unloaded", "The model 'm' is not loaded."),
        ("draining", "The model 'm' is being unloaded."),
        ("failed", "The model 'm' could not be loaded; the server's log says why."),
    ],
)
def test_model_that_is_not_ready(state: str, message: str) -> None:
    error = from_upstream(
        grpc.StatusCode.UNAVAILABLE,
        "MODEL_NOT_READY",
        "model 'm' is failed: no file /srv/models/m",
        {"model": "m", "state": state, "cause": "no file /srv/models/m"},
    )
    assert (error.status, error.code, error.message) == (503, "model_not_ready", message)


def test_unknown_model() -> None:
    error = from_upstream(
        grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "no model is named 'm'", {"model": "m"}
    )
    assert error.message == "The model 'm' does not exist."


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"model": "m", "cause": "out_of_memory"},
            "The model 'm' could not be loaded; the server's log says why (out of memory).",
        ),
        ({"model": "m"}, "The model 'm' could not be loaded; the server's log says why."),
    ],
)
def test_load_that_failed_tells_only_admins_why(metadata: dict[str, str], message: str) -> None:
    status = grpc.StatusCode.FAILED_PRECONDITION
    error = UpstreamError(status, "MODEL_LOAD_FAILED", "no file /srv/m", metadata)
    said = to_api_error(error)
    assert (said.status, said.code, said.message) == (503, "model_load_failed", message)
    assert to_api_error(error, tell_causes=True).message == "no file /srv/m"


@pytest.mark.parametrize(
    ("cause", "headers"),
    [
        ("invalid_files", {"x-should-retry": "false"}),
        ("invalid_settings", {"x-should-retry": "false"}),
        ("unsupported", {"x-should-retry": "false"}),
        ("out_of_memory", {"retry-after": "5"}),
    ],
)
def test_load_that_can_not_succeed_is_not_tried_again(cause: str, headers: dict[str, str]) -> None:
    status, metadata = grpc.StatusCode.FAILED_PRECONDITION, {"model": "m", "cause": cause}
    assert from_upstream(status, "MODEL_LOAD_FAILED", "why", metadata).headers == headers


def test_only_known_reasons_are_passed_on_to_admins() -> None:
    error = UpstreamError(grpc.StatusCode.INTERNAL, None, "ipv4:10.0.0.7:9443", {})
    assert "10.0.0.7" not in to_api_error(error, tell_causes=True).message
