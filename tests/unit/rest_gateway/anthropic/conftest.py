"""The service's events, written short."""

from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

GenerateEvent = inference_pb2.GenerateEvent


class Happened:
    """Writes events."""

    @staticmethod
    def started(prompt_tokens: int = 10, cached_tokens: int | None = 4) -> GenerateEvent:
        return GenerateEvent(
            started=inference_pb2.Started(prompt_tokens=prompt_tokens, cached_tokens=cached_tokens)
        )

    @staticmethod
    def text(text: str) -> GenerateEvent:
        return GenerateEvent(text=inference_pb2.TextDelta(text=text))

    @staticmethod
    def reasoning(text: str) -> GenerateEvent:
        return GenerateEvent(reasoning=inference_pb2.ReasoningDelta(text=text))

    @staticmethod
    def call(index: int, arguments: str = "", *, begins: bool = False) -> GenerateEvent:
        delta = inference_pb2.ToolCallDelta(call_index=index, arguments_json_delta=arguments)
        if begins:
            delta.id, delta.name = f"call_{index}", f"tool_{index}"
        return GenerateEvent(tool_call=delta)

    @staticmethod
    def finished(
        reason: Any = inference_pb2.FINISH_REASON_STOP, matched_stop: str | None = None
    ) -> GenerateEvent:
        usage = inference_pb2.Usage(
            prompt_tokens=10, completion_tokens=6, cached_tokens=4, reasoning_tokens=2
        )
        return GenerateEvent(
            finished=inference_pb2.Finished(reason=reason, matched_stop=matched_stop, usage=usage)
        )


@pytest.fixture(scope="session")
def happened() -> type[Happened]:
    return Happened


@pytest.fixture(scope="session")
def messages() -> Callable[..., list[inference_pb2.GenerateResponse]]:
    """Give a function that puts each event into a message of its own."""

    def put(*events: GenerateEvent) -> list[inference_pb2.GenerateResponse]:
        return [inference_pb2.GenerateResponse(events=[event]) for event in events]

    return put
