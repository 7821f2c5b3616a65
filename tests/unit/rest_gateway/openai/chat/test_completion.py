import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.chat.completion import CompletionWriter
from rest_gateway.openai.errors import ApiError


def writer() -> CompletionWriter:
    return CompletionWriter("chatcmpl-1", 5, "m")


def test_reasoning_is_kept_apart(events: Any) -> None:
    thought = inference_pb2.GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text="hm"))
    thinking = inference_pb2.GenerateResponse(events=[thought])
    whole = writer()
    for message in (events.started(), thinking, events.text("a"), events.finished()):
        whole.add(message)
    said = json.loads(whole.body())["choices"][0]["message"]
    assert (said["content"], said["reasoning_content"]) == ("a", "hm")


def test_what_can_not_be_written_is_an_error(events: Any) -> None:
    with pytest.raises(ApiError):
        writer().add(events.finished(inference_pb2.FINISH_REASON_UNSPECIFIED))
    with pytest.raises(ApiError):
        writer().body()
