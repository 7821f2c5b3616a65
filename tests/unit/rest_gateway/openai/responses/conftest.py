"""Writes the service's messages short, and makes the response that takes them."""

from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.responses.lifecycle import Lifecycle
from rest_gateway.openai.responses.output import Output
from rest_gateway.openai.responses.response import ResponseForm
from rest_gateway.openai.responses.schema import parse_response_request


def make_lifecycle(
    keep: Callable[[Any], bool] | None = None, *, logprobs: bool = False
) -> Lifecycle:
    request = parse_response_request(b'{"model": "m", "input": "Hi"}')
    return Lifecycle(ResponseForm(request, "resp_1", 1), Output(logprobs=logprobs), keep)


class Say:
    @staticmethod
    def message(**event: Any) -> inference_pb2.GenerateResponse:
        return inference_pb2.GenerateResponse(events=[inference_pb2.GenerateEvent(**event)])

    @staticmethod
    def text(piece: str, *tokens: bytes) -> inference_pb2.GenerateResponse:
        logprobs = [
            inference_pb2.TokenLogprob(token_id=1, token=token, logprob=-0.5) for token in tokens
        ]
        return Say.message(text=inference_pb2.TextDelta(text=piece, logprobs=logprobs))

    @staticmethod
    def thought(piece: str) -> inference_pb2.GenerateResponse:
        return Say.message(reasoning=inference_pb2.ReasoningDelta(text=piece))

    @staticmethod
    def call(index: int, arguments: str = "", name: str | None = None) -> Any:
        return Say.message(
            tool_call=inference_pb2.ToolCallDelta(
                call_index=index,
                id=f"call_{index}" if name else None,
                name=name,
                arguments_json_delta=arguments,
            )
        )

    @staticmethod
    def finished(reason: Any = inference_pb2.FINISH_REASON_STOP) -> Any:
        usage = inference_pb2.Usage(
            prompt_tokens=7, completion_tokens=3, cached_tokens=4, reasoning_tokens=1
        )
        return Say.message(finished=inference_pb2.Finished(reason=reason, usage=usage))

    @staticmethod
    def started() -> Any:
        return Say.message(started=inference_pb2.Started(prompt_tokens=7))


@pytest.fixture(scope="session")
def lifecycle() -> Callable[..., Lifecycle]:
    return make_lifecycle


@pytest.fixture(scope="session")
def say() -> type[Say]:
    return Say
