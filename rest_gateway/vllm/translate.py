"""Requests that tokenize and detokenize as the service's messages, and its answers as JSON."""

from __future__ import annotations

import msgspec
from openvino_server.v1 import chat_pb2, inference_pb2

from rest_gateway.openai.chat.translate import (
    CONVERSATION_NAMES,
    message_to_proto,
    tool_to_proto,
)
from rest_gateway.openai.names import Names
from rest_gateway.vllm.schema import DetokenizeRequest, TokenizeRequest


def tokenize_to_proto(request: TokenizeRequest) -> inference_pb2.TokenizeRequest:
    """Say a request in the service's terms."""
    if request.messages is None:
        return inference_pb2.TokenizeRequest(
            model=request.model,
            text=request.text,
            add_special_tokens=request.add_special_tokens is not False,
        )
    return inference_pb2.TokenizeRequest(
        model=request.model,
        chat=chat_pb2.ChatInput(
            messages=[message_to_proto(message) for message in request.messages],
            tools=[tool_to_proto(tool) for tool in request.tools or ()],
            template_kwargs_json=request.chat_template_kwargs,
            continue_final_message=request.continue_final_message,
        ),
    )


def names_of(request: TokenizeRequest) -> Names:
    """Tell under which names the client sent what the service knows by others."""
    text = "prompt" if request.content is None else "content"
    if request.messages is not None:
        return Names(renamed=CONVERSATION_NAMES)
    # The reasons that are about the prompt as a whole name a conversation's.
    return Names(renamed={"text": text}, merged={"chat.messages": text})


def tokens_to_vllm(answer: inference_pb2.TokenizeResponse) -> bytes:
    """Write token ids as vLLM does; llama.cpp has `tokens` only."""
    return msgspec.json.encode(
        {
            "count": len(answer.token_ids),
            "max_model_len": answer.context_length,
            "tokens": list(answer.token_ids),
            "token_strs": None,
        }
    )


def detokenize_to_proto(request: DetokenizeRequest) -> inference_pb2.DetokenizeRequest:
    """Say a request in the service's terms."""
    return inference_pb2.DetokenizeRequest(model=request.model, token_ids=request.tokens)


DETOKENIZE_NAMES = Names(renamed={"token_ids": "tokens"})


def text_to_vllm(answer: inference_pb2.DetokenizeResponse) -> bytes:
    """Write a text under vLLM's name and llama.cpp's."""
    return msgspec.json.encode({"prompt": answer.text, "content": answer.text})
