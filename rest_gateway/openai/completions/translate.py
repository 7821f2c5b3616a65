"""Requests for text completions as the service's messages."""

from __future__ import annotations

from openvino_server.v1 import inference_pb2

from rest_gateway.openai.completions.schema import DEFAULT_MAX_TOKENS, CompletionRequest
from rest_gateway.openai.constraint import constraint_names, constraint_to_proto
from rest_gateway.openai.keep_alive import keep_alive_to_proto
from rest_gateway.openai.names import Names
from rest_gateway.openai.sampling import sampling_to_proto


def request_to_protos(request: CompletionRequest) -> list[inference_pb2.GenerateRequest]:
    """Say a request in the service's terms: a message for each prompt, in order."""
    sampling = sampling_to_proto(
        request,
        DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        logprobs=request.logprobs is not None,
    )
    constraint = constraint_to_proto(request)
    wanted = []
    for prompt in request.prompts:
        message = inference_pb2.GenerateRequest(
            model=request.model,
            sampling=sampling,
            constraint=constraint,
            keep_alive=keep_alive_to_proto(request),
        )
        if isinstance(prompt, str):
            message.prompt = prompt
            message.add_special_tokens = request.add_special_tokens is not False  # as vLLM has it
        else:
            message.token_ids.ids.extend(prompt)
        wanted.append(message)
    return wanted


def names_of(request: CompletionRequest, place: int) -> Names:
    """Tell under which names the client sent what the service knows by others.

    Args:
        request: The request.
        place: Which of its prompts the service was sent.

    """
    several = isinstance(request.prompt, list) and not isinstance(request.prompt[0], int)
    prompt = f"prompt[{place}]" if several else "prompt"
    # The reasons that are about the prompt as a whole name a conversation's.
    names = Names(merged=dict.fromkeys(("chat.messages", "prompt", "token_ids"), prompt))
    return names.with_others(constraint_names(request))
