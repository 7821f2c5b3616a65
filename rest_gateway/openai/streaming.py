"""Whether an answer comes as a stream, and what that holds besides the completion."""

from __future__ import annotations

import secrets
from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.strict import StrictModel, on

_OBFUSCATED_BYTES = 32


class StreamOptions(StrictModel):
    """What a stream holds besides the completion."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class StreamFields(StrictModel):
    """The parameters of a stream."""

    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a last chunk tells the tokens used."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def include_obfuscation(self) -> bool:
        """Whether chunks are padded, so that their sizes don't tell of their texts."""
        return bool(self.stream_options and self.stream_options.include_obfuscation)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError(
                "stream_options", "is allowed only with stream: true", on("stream_options")
            )
        return self


def obfuscated(payload: bytes) -> bytes:
    """Pad a JSON object with a field of random characters to a multiple of 32 bytes.

    Against who reads the sizes of encrypted packets: most chunks of a stream get one size.
    """
    head = payload[:-1] + b',"obfuscation":"'
    missing = -(len(head) + 2) % _OBFUSCATED_BYTES
    return head + secrets.token_urlsafe(missing)[:missing].encode() + b'"}'
