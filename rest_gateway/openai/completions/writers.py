"""Text completions as a stream of chunks, and as one object; both are `text_completion`."""

from __future__ import annotations

from typing import Any

import msgspec
from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.answer import BodyWriter
from rest_gateway.openai.chunk_stream import ChunkStream
from rest_gateway.openai.logprobs import LegacyLogprobs
from rest_gateway.openai.outcome import Outcome

_json = msgspec.json.Encoder().encode


class TextChunkWriter(ChunkStream):
    """Writes completions' events as a stream.

    Args:
        completion_id: The answer's id.
        created: When it began, in seconds since 1970.
        model: The model's name as the client gave it.
        choices: How many completions there are, of all prompts.
        include_usage: Whether a last chunk tells the tokens used.
        obfuscate: Whether chunks are padded, so that their sizes don't tell of their texts.

    """

    def __init__(
        self,
        completion_id: str,
        created: int,
        model: str,
        choices: int = 1,
        *,
        include_usage: bool = False,
        obfuscate: bool = False,
    ) -> None:
        super().__init__(
            _shared(completion_id, created, model),
            "text",
            choices,
            include_usage=include_usage,
            obfuscate=obfuscate,
        )
        self._logprobs = [LegacyLogprobs() for _ in range(choices)]
        self._text_tail = b',"logprobs":null,"finish_reason":null' + self._tail

    def write(self, message: inference_pb2.GenerateResponse) -> bytes:
        """See `StreamWriter`."""
        written: list[bytes] = []
        for event in message.events:
            kind = event.WhichOneof("event")
            index = event.index
            if index >= len(self._heads):
                raise errors.broken_stream(f"completion {index}")
            if kind == "text":
                delta = event.text
                if delta.logprobs:
                    logprobs = self._logprobs[index].write(delta.logprobs)
                    written.append(self._chunk(index, delta.text, logprobs=logprobs))
                else:
                    written.append(self._heads[index] + _json(delta.text) + self._text_tail)
            elif kind == "finished":
                reason = self.outcome.finish(index, event.finished)
                written.append(self._chunk(index, "", finish_reason=reason))
            elif kind == "started":
                self.outcome.start(event.started)
            else:
                raise errors.broken_stream(f"event {kind}")
        return self._frames(written)

    def _chunk(
        self,
        index: int,
        text: str,
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> bytes:
        end = b',"logprobs":' + _json(logprobs) + b',"finish_reason":' + _json(finish_reason)
        return self._heads[index] + _json(text) + end + self._tail


class TextWriter(BodyWriter):
    """Gathers completions' events into one object.

    Args:
        completion_id: The answer's id.
        created: When it began, in seconds since 1970.
        model: The model's name as the client gave it.
        choices: How many completions there are, of all prompts.
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
        self._shared = _shared(completion_id, created, model)
        self._logprobs = logprobs
        self._texts: list[list[str]] = [[] for _ in range(choices)]
        self._tokens: list[list[inference_pb2.TokenLogprob]] = [[] for _ in range(choices)]

    def add(self, message: inference_pb2.GenerateResponse) -> None:
        """See `BodyWriter`."""
        for event in message.events:
            kind = event.WhichOneof("event")
            if event.index >= len(self._texts):
                raise errors.broken_stream(f"completion {event.index}")
            if kind == "text":
                self._texts[event.index].append(event.text.text)
                self._tokens[event.index] += event.text.logprobs
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
                "text": "".join(texts),
                "logprobs": LegacyLogprobs().write(tokens) if self._logprobs else None,
                "finish_reason": self.outcome.finish_reasons[index],
            }
            for index, (texts, tokens) in enumerate(zip(self._texts, self._tokens, strict=True))
        ]
        return _json(self._shared | {"choices": choices, "usage": self.outcome.usage()})


def _shared(completion_id: str, created: int, model: str) -> dict[str, Any]:
    return {
        "id": completion_id,
        "object": "text_completion",
        "created": created,
        "model": model,
        "system_fingerprint": None,
    }
