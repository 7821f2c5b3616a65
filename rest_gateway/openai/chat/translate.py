"""Requests for chat completions as the service's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.chat.messages import Message
from rest_gateway.openai.chat.schema import UINT32_MAX, ChatCompletionRequest
from rest_gateway.openai.names import Names

_ROLES: Mapping[str, chat_pb2.Role.ValueType] = {
    "developer": chat_pb2.ROLE_DEVELOPER,
    "system": chat_pb2.ROLE_SYSTEM,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
}


def request_to_proto(request: ChatCompletionRequest) -> inference_pb2.GenerateRequest:
    """Say a request in the service's terms. What the client left out stays unset."""
    if request.messages is not None:
        messages = [_message_to_proto(message) for message in request.messages]
    else:
        assert request.prompt is not None  # the schema wants one of the two
        messages = [chat_pb2.ChatMessage(role=chat_pb2.ROLE_USER, content=_parts([request.prompt]))]
    max_tokens = request.max_completion_tokens
    return inference_pb2.GenerateRequest(
        model=request.model,
        chat=chat_pb2.ChatInput(messages=messages),
        sampling=inference_pb2.SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            presence_penalty=request.presence_penalty,
            frequency_penalty=request.frequency_penalty,
            max_tokens=request.max_tokens if max_tokens is None else max_tokens,
            # OpenAI's seed has 64 bits and a sign, the engine's 32: the low ones are kept, so that
            # equal seeds stay equal and small ones are themselves.
            seed=None if request.seed is None else request.seed & UINT32_MAX,
            stop=request.stop or (),
            # vLLM's clients say 0 or -1 for all tokens, which is the service's default.
            top_k=request.top_k if request.top_k and request.top_k > 0 else None,
            min_p=request.min_p,
            repetition_penalty=request.repetition_penalty,
            min_tokens=request.min_tokens,
            ignore_eos=request.ignore_eos,
        ),
    )


def _message_to_proto(message: Message) -> chat_pb2.ChatMessage:
    content = message.content
    texts = [content] if isinstance(content, str) else [part.text for part in content or ()]
    return chat_pb2.ChatMessage(
        role=_ROLES[message.role],
        content=_parts(texts),
        name=message.name,
    )


def _parts(texts: Iterable[str]) -> list[chat_pb2.ContentPart]:
    return [chat_pb2.ContentPart(text=text) for text in texts]


def names_of(request: ChatCompletionRequest) -> Names:
    """Tell under which names the client sent what has two."""
    renamed = {}
    if request.max_completion_tokens is not None:
        renamed["sampling.max_tokens"] = "max_completion_tokens"
    return Names(
        renamed=renamed,
        merged={"chat.messages": "prompt"} if request.prompt is not None else {},
    )
