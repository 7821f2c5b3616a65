"""Requests for the mapping to take or refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import chat_pb2, inference_pb2

from inference_service.errors import InvalidArgument
from inference_service.rpc import mapping


def _message(*texts: str, role: Any = chat_pb2.ROLE_USER, **rest: Any) -> chat_pb2.ChatMessage:
    parts = [chat_pb2.ContentPart(text=text) for text in texts]
    return chat_pb2.ChatMessage(role=role, content=parts, **rest)


def _request(**fields: Any) -> inference_pb2.GenerateRequest:
    if not {"chat", "prompt", "token_ids"} & fields.keys():
        fields["prompt"] = "x"
    return inference_pb2.GenerateRequest(**{"model": "m"} | fields)


def _refused_field(proto: inference_pb2.GenerateRequest | chat_pb2.ChatInput) -> str:
    if isinstance(proto, chat_pb2.ChatInput):
        proto = _request(chat=proto)
    with pytest.raises(InvalidArgument) as caught:
        mapping.generate_request_from_proto(proto)
    (field,) = caught.value.metadata.values()
    assert list(caught.value.metadata) == ["field"]
    assert str(caught.value).startswith(f"{field}: ")
    return field


@pytest.fixture
def message() -> Callable[..., chat_pb2.ChatMessage]:
    """Give a function that makes a message of these texts; by default the user's."""
    return _message


@pytest.fixture
def request_of() -> Callable[..., inference_pb2.GenerateRequest]:
    """Give a function that makes a request that is good but for the fields given."""
    return _request


@pytest.fixture
def refused_field() -> Callable[..., str]:
    """Give a function that has a request or a conversation refused, and says for which field."""
    return _refused_field
