"""OpenAI's chat completions to the service's messages, and the service's events back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from openvino_server.v1 import chat_pb2, inference_pb2, models_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.messages import Message
from rest_gateway.openai.schema import UINT32_MAX, ChatCompletionRequest

_ROLES: Mapping[str, chat_pb2.Role.ValueType] = {
    "developer": chat_pb2.ROLE_DEVELOPER,
    "system": chat_pb2.ROLE_SYSTEM,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
}
_FINISH_REASONS: Mapping[int, str] = {
    inference_pb2.FINISH_REASON_STOP: "stop",
    inference_pb2.FINISH_REASON_LENGTH: "length",
    inference_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
}
_OWNER = "openvino-server"

_json = msgspec.json.Encoder().encode


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a completion ended.

    Attributes:
        finish_reason: In OpenAI's words.
        usage: Tokens used.

    """

    finish_reason: str
    usage: inference_pb2.Usage

    @classmethod
    def from_proto(cls, finished: inference_pb2.Finished) -> Outcome:
        """Read the last event of a completion.

        Raises:
            ApiError: The service gave a reason that this gateway doesn't know.

        """
        reason = _FINISH_REASONS.get(finished.reason)
        if reason is None:
            raise errors.broken_stream(f"finish reason {finished.reason}")
        return cls(reason, finished.usage)

    def usage_to_openai(self) -> dict[str, Any]:
        """Write the tokens used as OpenAI does."""
        used = self.usage
        return {
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "total_tokens": used.prompt_tokens + used.completion_tokens,
            # Unset is not known, which is not 0.
            "prompt_tokens_details": {"cached_tokens": used.cached_tokens}
            if used.HasField("cached_tokens")
            else None,
            "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        }


class ChunkWriter:
    """Writes a completion's events as `chat.completion.chunk` objects.

    What is the same in all chunks of a completion is encoded once: this runs for each message of
    each stream.

    Attributes:
        outcome: How the completion ended; None until it has.

    """

    def __init__(
        self, completion_id: str, created: int, model: str, *, include_usage: bool
    ) -> None:
        self.outcome: Outcome | None = None
        self._opened = False
        self._include_usage = include_usage
        shared = {
            "id": completion_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": None,
        }
        self._shared = _json(shared)[:-1]
        self._head = self._shared + b',"choices":[{"index":0,"delta":'
        usage = b',"usage":null' if include_usage else b""
        self._tail = b"}]" + usage + b"}"
        self._text_head = self._head + b'{"content":'
        self._text_tail = b'},"logprobs":null,"finish_reason":null' + self._tail

    def chunks(self, message: inference_pb2.GenerateResponse) -> list[bytes]:
        """Write what happened.

        Returns:
            JSON objects, in order. May be empty.

        Raises:
            ApiError: The service sent what was not asked for.

        """
        written: list[bytes] = []
        for event in message.events:
            kind = event.WhichOneof("event")
            if not self._opened:
                self._opened = True
                delta = {"role": "assistant", "content": "", "refusal": None}
                written.append(self._chunk(delta, None))
            if kind == "text":
                written.append(self._text_head + _json(event.text.text) + self._text_tail)
            elif kind == "reasoning":
                written.append(self._chunk({"reasoning_content": event.reasoning.text}, None))
            elif kind == "finished":
                self.outcome = Outcome.from_proto(event.finished)
                written.append(self._chunk({}, self.outcome.finish_reason))
                if self._include_usage:
                    usage = _json(self.outcome.usage_to_openai())
                    written.append(self._shared + b',"choices":[],"usage":' + usage + b"}")
            elif kind != "started":
                raise errors.broken_stream(f"event {kind}")
        return written

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        end = b',"logprobs":null,"finish_reason":' + _json(finish_reason)
        return self._head + _json(delta) + end + self._tail


class CompletionBuilder:
    """Gathers a completion's events into one `chat.completion` object.

    Attributes:
        outcome: How the completion ended; None until it has.

    """

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self._texts: list[str] = []
        self._reasoning: list[str] = []

    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """Take what happened.

        Raises:
            ApiError: The service sent what was not asked for.

        """
        for event in message.events:
            kind = event.WhichOneof("event")
            if kind == "text":
                self._texts.append(event.text.text)
            elif kind == "reasoning":
                self._reasoning.append(event.reasoning.text)
            elif kind == "finished":
                self.outcome = Outcome.from_proto(event.finished)
            elif kind != "started":
                raise errors.broken_stream(f"event {kind}")

    def completion(self, completion_id: str, created: int, model: str) -> bytes:
        """Write the whole completion as JSON.

        Raises:
            ApiError: The service ended the stream before the completion.

        """
        if self.outcome is None:
            raise errors.broken_stream("the end, before the completion ended")
        answer: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._texts),
            "refusal": None,
        }
        if self._reasoning:
            answer["reasoning_content"] = "".join(self._reasoning)
        choice = {
            "index": 0,
            "message": answer,
            "logprobs": None,
            "finish_reason": self.outcome.finish_reason,
        }
        return _json(
            {
                "id": completion_id,
                "object": "chat.completion",
                "created": created,
                "model": model,
                "choices": [choice],
                "usage": self.outcome.usage_to_openai(),
                "service_tier": "default",
                "system_fingerprint": None,
            }
        )


def model_to_openai(model: models_pb2.Model) -> dict[str, Any]:
    """Write a model as OpenAI does."""
    return {
        "id": model.name,
        "object": "model",
        "created": model.create_time.seconds,
        "owned_by": _OWNER,
    }


def is_ready(model: models_pb2.Model) -> bool:
    """Say whether a model answers now."""
    return model.state == models_pb2.MODEL_STATE_READY


def state_of(model: models_pb2.Model) -> str:
    """Name a model's state for people: `loading`."""
    return models_pb2.ModelState.Name(model.state).removeprefix("MODEL_STATE_").lower()
