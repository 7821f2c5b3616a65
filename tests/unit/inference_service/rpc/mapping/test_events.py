from __future__ import annotations

from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.rpc import mapping

Event = inference_pb2.GenerateEvent


def event(given: domain.Event) -> inference_pb2.GenerateEvent:
    (converted,) = mapping.generate_response_to_proto([given]).events
    return converted


def test_start() -> None:
    assert event(domain.Started(7)) == Event(started=inference_pb2.Started(prompt_tokens=7))
    start = event(domain.Started(7, 0)).started
    assert (start.HasField("cached_tokens"), start.cached_tokens) == (True, 0)


def test_text_and_reasoning() -> None:
    logprobs = (domain.TokenLogprob(5, b"\xc3", -0.5), domain.TokenLogprob(6, b"\xa9", 0.0))
    entries = [
        inference_pb2.TokenLogprob(token_id=5, token=b"\xc3", logprob=-0.5),
        inference_pb2.TokenLogprob(token_id=6, token=b"\xa9", logprob=0.0),
    ]
    assert event(domain.TextDelta(1, "é", 2)) == Event(
        index=1, text=inference_pb2.TextDelta(text="é")
    )
    assert event(domain.TextDelta(0, "é", 2, logprobs)) == Event(
        text=inference_pb2.TextDelta(text="é", logprobs=entries)
    )
    assert event(domain.ReasoningDelta(2, "hm", 2, logprobs)) == Event(
        index=2, reasoning=inference_pb2.ReasoningDelta(text="hm", logprobs=entries)
    )


def test_calls() -> None:
    assert event(domain.ToolCallDelta(1, 2, "id", "f", "")) == Event(
        index=1, tool_call=inference_pb2.ToolCallDelta(call_index=2, id="id", name="f")
    )
    later = event(domain.ToolCallDelta(1, 2, None, None, "{}"))
    assert later == Event(
        index=1, tool_call=inference_pb2.ToolCallDelta(call_index=2, arguments_json_delta="{}")
    )
    assert not later.tool_call.HasField("id")
    assert not later.tool_call.HasField("name")


def test_end() -> None:
    end = domain.Finished(1, domain.FinishReason.TOOL_CALLS, 7, 3, "", 0, reasoning_tokens=2)
    assert event(end) == Event(
        index=1,
        finished=inference_pb2.Finished(
            reason=inference_pb2.FINISH_REASON_TOOL_CALLS,
            matched_stop="",
            usage=inference_pb2.Usage(
                prompt_tokens=7, completion_tokens=3, cached_tokens=0, reasoning_tokens=2
            ),
        ),
    )
    plain = event(domain.Finished(0, domain.FinishReason.LENGTH, 7, 0)).finished
    assert plain.reason == inference_pb2.FINISH_REASON_LENGTH
    assert not plain.HasField("matched_stop")
    assert not plain.usage.HasField("cached_tokens")
    for reason in domain.FinishReason:
        sent = event(domain.Finished(0, reason, 1, 1)).finished.reason
        assert inference_pb2.FinishReason.Name(sent) == f"FINISH_REASON_{reason.name}"


def test_order_is_kept() -> None:
    texts = [domain.TextDelta(index, str(index)) for index in (2, 0, 1)]
    response = mapping.generate_response_to_proto(texts)
    assert [converted.text.text for converted in response.events] == ["2", "0", "1"]
