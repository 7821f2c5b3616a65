"""What happens to a request."""

from __future__ import annotations

from collections.abc import Sequence

from openvino_server.v1 import inference_pb2

from inference_service import domain

_FINISH_REASONS = {
    domain.FinishReason.STOP: inference_pb2.FINISH_REASON_STOP,
    domain.FinishReason.LENGTH: inference_pb2.FINISH_REASON_LENGTH,
    domain.FinishReason.TOOL_CALLS: inference_pb2.FINISH_REASON_TOOL_CALLS,
}


def generate_response_to_proto(
    events: Sequence[domain.Event],
) -> inference_pb2.GenerateResponse:
    """Convert a batch of events."""
    return inference_pb2.GenerateResponse(events=[_event(event) for event in events])


def _event(event: domain.Event) -> inference_pb2.GenerateEvent:
    match event:
        case domain.TextDelta():
            return inference_pb2.GenerateEvent(
                index=event.index,
                text=inference_pb2.TextDelta(text=event.text, logprobs=_logprobs(event)),
            )
        case domain.ReasoningDelta():
            return inference_pb2.GenerateEvent(
                index=event.index,
                reasoning=inference_pb2.ReasoningDelta(text=event.text, logprobs=_logprobs(event)),
            )
        case domain.ToolCallDelta():
            return inference_pb2.GenerateEvent(
                index=event.index,
                tool_call=inference_pb2.ToolCallDelta(
                    call_index=event.call_index,
                    id=event.id,
                    name=event.name,
                    arguments_json_delta=event.arguments,
                ),
            )
        case domain.Started():
            return inference_pb2.GenerateEvent(
                started=inference_pb2.Started(
                    prompt_tokens=event.prompt_tokens, cached_tokens=event.cached_tokens
                )
            )
        case domain.Finished():
            return inference_pb2.GenerateEvent(index=event.index, finished=_finished(event))


def _finished(event: domain.Finished) -> inference_pb2.Finished:
    return inference_pb2.Finished(
        reason=_FINISH_REASONS[event.reason],
        matched_stop=event.matched_stop,
        usage=inference_pb2.Usage(
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            cached_tokens=event.cached_tokens,
            reasoning_tokens=event.reasoning_tokens,
        ),
    )


def _logprobs(
    delta: domain.TextDelta | domain.ReasoningDelta,
) -> list[inference_pb2.TokenLogprob] | None:
    if not delta.logprobs:
        return None  # the common case, cheaply
    return [
        inference_pb2.TokenLogprob(
            token_id=entry.token_id, token=entry.token, logprob=entry.logprob
        )
        for entry in delta.logprobs
    ]
