"""A chat completion as one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.answer import BodyWriter
from rest_gateway.openai.logprobs import token_logprobs
from rest_gateway.openai.outcome import Outcome

_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Call:
    """A call of a tool, while its arguments come in."""

    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Choice:
    """A completion, while its pieces come in."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    def call(self, delta: inference_pb2.ToolCallDelta) -> None:
        """Take a piece of a call.

        Raises:
            ApiError: It is the first, and has no id or name.

        """
        call = self.calls.get(delta.call_index)
        if call is None:
            if not delta.id or not delta.name:
                raise errors.broken_stream("a call without id or name")
            call = self.calls[delta.call_index] = _Call(delta.id, delta.name)
        call.arguments.append(delta.arguments_json_delta)

    def message(self) -> dict[str, Any]:
        """Write the assistant's message."""
        content = "".join(self.texts)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if self.calls and not content else content,
            "refusal": None,
        }
        if reasoning := "".join(self.reasoning):
            message["reasoning_content"] = reasoning
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": "".join(call.arguments)},
                }
                for _, call in sorted(self.calls.items())
            ]
        return message


class CompletionWriter(BodyWriter):
    """Gathers completions' events into one `chat.completion` object.

    Args:
        completion_id: The answer's id.
        created: When it began, in seconds since 1970.
        model: The model's name as the client gave it.
        choices: How many completions there are.
        logprobs: Whether the client asked for the tokens' log-probabilities.

    """

    def __init__(
        self,
        completion_id: str,
        created: int,
        model: str,
        choices: int = 1,
        *,
        logprobs: bool = False,
    ) -> None:
        self.outcome = Outcome(choices)
        self._id = completion_id
        self._created = created
        self._model = model
        self._choices = [_Choice() for _ in range(choices)]
        self._logprobs = logprobs

    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """See `BodyWriter`."""
        for event in message.events:
            kind = event.WhichOneof("event")
            if event.index >= len(self._choices):
                raise errors.broken_stream(f"completion {event.index}")
            choice = self._choices[event.index]
            if kind == "text":
                choice.texts.append(event.text.text)
                choice.logprobs += token_logprobs(event.text.logprobs)
            elif kind == "reasoning":
                choice.reasoning.append(event.reasoning.text)
            elif kind == "tool_call":
                choice.call(event.tool_call)
            elif kind == "finished":
                self.outcome.finish(event.index, event.finished)
            elif kind == "started":
                self.outcome.start(event.started)
            else:
                raise errors.broken_stream(f"event {kind}")

    def body(self) -> bytes:
        """See `BodyWriter`."""
        self.outcome.check_complete()
        choices = [
            {
                "index": index,
                "message": choice.message(),
                "logprobs": {"content": choice.logprobs, "refusal": None}
                if self._logprobs
                else None,
                "finish_reason": self.outcome.finish_reasons[index],
            }
            for index, choice in enumerate(self._choices)
        ]
        return _json(
            {
                "id": self._id,
                "object": "chat.completion",
                "created": self._created,
                "model": self._model,
                "choices": choices,
                "usage": self.outcome.usage(),
                "service_tier": "default",
                "system_fingerprint": None,
            }
        )
