"""Protobuf to domain and back, with all validation of requests."""

from __future__ import annotations

import math
from collections.abc import Sequence

from openvino_server.v1 import chat_pb2, health_pb2, inference_pb2, models_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument, Unsupported

MAX_STOPS = 16
MAX_MODEL_NAME = 256
MAX_MESSAGES = 16_384
MAX_PARTS = 1_024
MAX_TOKEN_IDS = 1 << 20

_ROLES = {
    chat_pb2.ROLE_DEVELOPER: domain.Role.DEVELOPER,
    chat_pb2.ROLE_SYSTEM: domain.Role.SYSTEM,
    chat_pb2.ROLE_USER: domain.Role.USER,
    chat_pb2.ROLE_ASSISTANT: domain.Role.ASSISTANT,
    chat_pb2.ROLE_TOOL: domain.Role.TOOL,
}
_FINISH_REASONS = {
    domain.FinishReason.STOP: inference_pb2.FINISH_REASON_STOP,
    domain.FinishReason.LENGTH: inference_pb2.FINISH_REASON_LENGTH,
    domain.FinishReason.TOOL_CALLS: inference_pb2.FINISH_REASON_TOOL_CALLS,
}
_STATES = {
    domain.ModelState.UNLOADED: models_pb2.MODEL_STATE_UNLOADED,
    domain.ModelState.LOADING: models_pb2.MODEL_STATE_LOADING,
    domain.ModelState.READY: models_pb2.MODEL_STATE_READY,
    domain.ModelState.DRAINING: models_pb2.MODEL_STATE_DRAINING,
    domain.ModelState.FAILED: models_pb2.MODEL_STATE_FAILED,
}


def generate_request_from_proto(request: inference_pb2.GenerateRequest) -> domain.GenerateRequest:
    """Check and convert a request.

    Raises:
        InvalidArgument: A field is missing or out of its range.
        Unsupported: It asks for what is not done yet.

    """
    prompt: domain.Input
    match request.WhichOneof("input"):
        case "chat":
            prompt = domain.ChatInput(messages_from_proto(request.chat))
        case "prompt":
            if not request.prompt:
                raise InvalidArgument("prompt", "is empty")
            prompt = domain.PromptInput(request.prompt)
        case "token_ids":
            if not request.token_ids.ids:
                raise InvalidArgument("token_ids.ids", "is empty")
            if len(request.token_ids.ids) > MAX_TOKEN_IDS:
                raise InvalidArgument("token_ids.ids", f"at most {MAX_TOKEN_IDS} are allowed")
            prompt = domain.TokenIdsInput(tuple(request.token_ids.ids))
        case _:
            raise InvalidArgument("input", "one of chat, prompt and token_ids is required")
    return domain.GenerateRequest(
        model=model_name_from_proto(request.model),
        input=prompt,
        sampling=sampling_from_proto(request.sampling),
    )


def model_name_from_proto(name: str, field: str = "model") -> str:
    """Check that a model is named.

    Raises:
        InvalidArgument: It isn't.

    """
    if not name:
        raise InvalidArgument(field, "is required")
    if len(name) > MAX_MODEL_NAME:
        raise InvalidArgument(field, f"is longer than {MAX_MODEL_NAME} characters")
    return name


def messages_from_proto(chat: chat_pb2.ChatInput) -> tuple[domain.Message, ...]:
    """Check and convert a conversation.

    Raises:
        InvalidArgument: It is empty, or a message lacks a role or content.
        Unsupported: It has tools.

    """
    if chat.tools:
        raise Unsupported("chat.tools")
    if not chat.messages:
        raise InvalidArgument("chat.messages", "is empty; at least one message is required")
    if len(chat.messages) > MAX_MESSAGES:
        raise InvalidArgument("chat.messages", f"at most {MAX_MESSAGES} are allowed")
    return tuple(_message(message, index) for index, message in enumerate(chat.messages))


def _message(message: chat_pb2.ChatMessage, index: int) -> domain.Message:
    field = f"chat.messages[{index}]"
    role = _ROLES.get(message.role)
    if role is None:
        raise InvalidArgument(f"{field}.role", "is required")
    if message.tool_calls:
        raise Unsupported(f"{field}.tool_calls")
    if role is domain.Role.TOOL:
        raise Unsupported(f"{field}.role", "messages of the role tool are not supported")
    if not message.content:
        raise InvalidArgument(f"{field}.content", "is required")
    if len(message.content) > MAX_PARTS:
        raise InvalidArgument(f"{field}.content", f"at most {MAX_PARTS} parts are allowed")
    for place, part in enumerate(message.content):
        if part.WhichOneof("part") is None:
            raise InvalidArgument(f"{field}.content[{place}]", "has no part")
    return domain.Message(
        role,
        tuple(part.text for part in message.content),
        message.name if message.HasField("name") else None,
    )


def sampling_from_proto(sampling: inference_pb2.SamplingParams) -> domain.SamplingParams:
    """Check and convert sampling parameters.

    Raises:
        InvalidArgument: A value is out of its range.

    """

    def number(
        name: str, low: float, high: float, *, above_low: bool = False, below_high: bool = False
    ) -> float | None:
        if not sampling.HasField(name):  # type: ignore[arg-type]
            return None
        value = float(getattr(sampling, name))
        inside = (low < value if above_low else low <= value) and (
            value < high if below_high else value <= high
        )
        if math.isnan(value) or not inside:
            lowest = f"over {low:g}" if above_low else f"{low:g}"
            highest = f"below {high:g}" if below_high else f"{high:g}"
            raise InvalidArgument(f"sampling.{name}", f"must be {lowest} to {highest}")
        return value

    def count(name: str, least: int) -> int | None:
        if not sampling.HasField(name):  # type: ignore[arg-type]
            return None
        value = int(getattr(sampling, name))
        if value < least:
            raise InvalidArgument(f"sampling.{name}", f"must be at least {least}")
        return value

    stops = tuple(sampling.stop)
    if len(stops) > MAX_STOPS:
        raise InvalidArgument("sampling.stop", f"at most {MAX_STOPS} stop strings are allowed")
    if "" in stops:
        raise InvalidArgument("sampling.stop", "a stop string is empty")
    max_tokens, min_tokens = count("max_tokens", 1), count("min_tokens", 0)
    if min_tokens is not None and max_tokens is not None and min_tokens > max_tokens:
        raise InvalidArgument("sampling.min_tokens", "is more than max_tokens")
    return domain.SamplingParams(
        temperature=number("temperature", 0, 2),
        top_p=number("top_p", 0, 1, above_low=True),
        top_k=count("top_k", 1),
        min_p=number("min_p", 0, 1, below_high=True),
        seed=count("seed", 0),
        presence_penalty=number("presence_penalty", -2, 2),
        frequency_penalty=number("frequency_penalty", -2, 2),
        repetition_penalty=number("repetition_penalty", 0, 2, above_low=True),
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        stop=stops,
        ignore_eos=sampling.ignore_eos,
    )


def generate_response_to_proto(
    events: Sequence[domain.Event],
) -> inference_pb2.GenerateResponse:
    """Convert a batch of events."""
    return inference_pb2.GenerateResponse(events=[_event(event) for event in events])


def _event(event: domain.Event) -> inference_pb2.GenerateEvent:
    match event:
        case domain.TextDelta(index, text):
            return inference_pb2.GenerateEvent(index=index, text=inference_pb2.TextDelta(text=text))
        case domain.Started(prompt_tokens):
            return inference_pb2.GenerateEvent(
                started=inference_pb2.Started(prompt_tokens=prompt_tokens)
            )
        case domain.ReasoningDelta(index, text):
            return inference_pb2.GenerateEvent(
                index=index, reasoning=inference_pb2.ReasoningDelta(text=text)
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
        case domain.Finished():
            return inference_pb2.GenerateEvent(
                index=event.index,
                finished=inference_pb2.Finished(
                    reason=_FINISH_REASONS[event.reason],
                    matched_stop=event.matched_stop,
                    usage=inference_pb2.Usage(
                        prompt_tokens=event.prompt_tokens,
                        completion_tokens=event.completion_tokens,
                    ),
                ),
            )


def model_to_proto(info: domain.ModelInfo) -> models_pb2.Model:
    """Convert a model."""
    model = models_pb2.Model(
        name=info.name,
        state=_STATES[info.state],
        failure=info.failure,
        context_length=info.context_length,
        architecture=info.architecture,
        reproducible=info.reproducible,
    )
    model.create_time.FromDatetime(info.created)
    return model


def replica_to_proto(status: domain.ReplicaStatus) -> health_pb2.ReplicaStatus:
    """Convert the state of a worker."""
    replica = health_pb2.ReplicaStatus(
        model=status.model,
        replica=status.replica,
        state=_STATES[status.state],
        pid=status.pid,
        outstanding_requests=status.outstanding_requests,
        steps=status.steps,
        generated_tokens=status.generated_tokens,
        kv_cache_usage=status.kv_cache_usage,
        restarts=status.restarts,
    )
    if status.last_step_age_seconds is not None:
        replica.last_step_age.FromNanoseconds(int(status.last_step_age_seconds * 1e9))
    return replica
