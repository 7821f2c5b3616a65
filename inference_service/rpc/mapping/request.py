"""Requests for completions."""

from __future__ import annotations

from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument
from inference_service.rpc.mapping.chat import chat_from_proto
from inference_service.rpc.mapping.constraint import constraint_from_proto
from inference_service.rpc.mapping.durations import seconds_from_proto
from inference_service.rpc.mapping.models import model_name_from_proto
from inference_service.rpc.mapping.sampling import sampling_from_proto

MAX_TOKEN_IDS = 1 << 20


def generate_request_from_proto(request: inference_pb2.GenerateRequest) -> domain.GenerateRequest:
    """Check and convert a request.

    Raises:
        InvalidArgument: A field is missing or out of its range, or two of them contradict.

    """
    prompt: domain.Input
    match request.WhichOneof("input"):
        case "chat":
            prompt = chat_from_proto(request.chat)
        case "prompt":
            if not request.prompt:
                raise InvalidArgument("prompt", "is empty")
            prompt = domain.PromptInput(request.prompt, request.add_special_tokens)
        case "token_ids":
            prompt = domain.TokenIdsInput(token_ids_from_proto(request.token_ids, "token_ids"))
        case _:
            raise InvalidArgument("input", "one of chat, prompt and token_ids is required")
    if request.add_special_tokens and not isinstance(prompt, domain.PromptInput):
        raise InvalidArgument("add_special_tokens", "is allowed only with prompt")
    wanted = domain.GenerateRequest(
        model=model_name_from_proto(request.model),
        input=prompt,
        sampling=sampling_from_proto(request.sampling),
        constraint=constraint_from_proto(request.constraint)
        if request.HasField("constraint")
        else None,
        keep_alive_seconds=keep_alive_from_proto(request),
    )
    _check_form(wanted)
    return wanted


def keep_alive_from_proto(
    request: inference_pb2.GenerateRequest
    | inference_pb2.EmbedRequest
    | inference_pb2.RerankRequest,
) -> float | None:
    """Check and convert how long the model is to stay loaded, in seconds.

    Raises:
        InvalidArgument: It is more than ten years, forth or back, or no duration.

    """
    if not request.HasField("keep_alive"):
        return None
    return seconds_from_proto(request.keep_alive, "keep_alive")


def token_ids_from_proto(token_ids: inference_pb2.TokenIds, field: str) -> tuple[int, ...]:
    """Check and convert token ids; whether the vocabulary has them is not known yet.

    Raises:
        InvalidArgument: There is none, or too many.

    """
    if not token_ids.ids:
        raise InvalidArgument(f"{field}.ids", "is empty")
    if len(token_ids.ids) > MAX_TOKEN_IDS:
        raise InvalidArgument(f"{field}.ids", f"at most {MAX_TOKEN_IDS} are allowed")
    return tuple(token_ids.ids)


def _check_form(request: domain.GenerateRequest) -> None:
    """Refuse what a grammar can't be held to: it allows nothing after its end but the end."""
    called = (
        isinstance(request.input, domain.ChatInput)
        and request.input.tool_choice.mode is domain.ToolMode.REQUIRED
    )
    if request.constraint and called:
        raise InvalidArgument("constraint", "can't be met by a required tool call")
    if not request.constraint and not called:
        return
    form = "a constraint" if request.constraint else "a required tool call"
    if request.sampling.ignore_eos:
        raise InvalidArgument("sampling.ignore_eos", f"can't be used with {form}")
    if request.sampling.min_tokens:
        raise InvalidArgument("sampling.min_tokens", f"can't be used with {form}")
