"""Chunks of chat and text completions: what both streams have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rest_gateway.openai import sse
from rest_gateway.openai.answer import StreamWriter
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome
from rest_gateway.openai.streaming import obfuscated

_json = msgspec.json.Encoder().encode


class ChunkStream(StreamWriter):
    """A stream of chunks that end with `[DONE]`.

    What is the same in all chunks is encoded once, as a chunk is written for each message of each
    stream.

    Args:
        shared: The fields that every chunk has.
        content: The name of the field of a choice that has its content.
        choices: How many completions there are.
        include_usage: Whether a last chunk tells the tokens used.
        obfuscate: Whether chunks are padded, so that their sizes don't tell of their texts.

    """

    def __init__(
        self,
        shared: Mapping[str, Any],
        content: str,
        choices: int,
        *,
        include_usage: bool,
        obfuscate: bool,
    ) -> None:
        self.outcome = Outcome(choices)
        self._include_usage = include_usage
        self._obfuscate = obfuscate
        self._shared = _json(shared)[:-1]
        field = content.encode()
        self._heads = [
            self._shared + b',"choices":[{"index":%d,"%b":' % (index, field)
            for index in range(choices)
        ]
        usage = b',"usage":null' if include_usage else b""
        self._tail = b"}]" + usage + b"}"

    def end(self) -> bytes:
        """See `StreamWriter`."""
        self.outcome.check_complete()
        if not self._include_usage:
            return sse.DONE
        usage = _json(self.outcome.usage())
        return self._frames([self._shared + b',"choices":[],"usage":' + usage + b"}"]) + sse.DONE

    def fail(self, error: ApiError) -> bytes:
        """See `StreamWriter`."""
        return sse.frames([error.body()])

    def _frames(self, written: Sequence[bytes]) -> bytes:
        if not written:
            return b""
        return sse.frames([obfuscated(chunk) for chunk in written] if self._obfuscate else written)
