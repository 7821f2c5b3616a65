from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.outcome import Outcome


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (inference_pb2.FINISH_REASON_STOP, "stop"),
        (inference_pb2.FINISH_REASON_LENGTH, "length"),
        (inference_pb2.FINISH_REASON_TOOL_CALLS, "tool_calls"),
    ],
)
def test_finish_reasons(events: Any, reason: Any, said: str) -> None:
    outcome = Outcome()
    [event] = events.finished(reason).events
    assert outcome.finish(0, event.finished) == said
    assert outcome.finish_reasons == {0: said}


def test_unknown_is_not_zero(events: Any) -> None:
    [event] = events.finished().events
    for cached in (0, None):
        event.finished.usage.ClearField("cached_tokens")
        if cached is not None:
            event.finished.usage.cached_tokens = cached
        outcome = Outcome()
        outcome.finish(0, event.finished)
        assert outcome.usage()["prompt_tokens_details"] == {"cached_tokens": cached}


def test_tokens_of_several_completions_add_up(events: Any) -> None:
    outcome = Outcome(2)
    outcome.start(inference_pb2.Started(prompt_tokens=7, cached_tokens=4))
    for index in range(2):
        assert not outcome.complete
        [event] = events.finished().events
        outcome.finish(index, event.finished)
    assert outcome.complete
    assert outcome.usage() == {
        "prompt_tokens": 7,
        "completion_tokens": 6,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
