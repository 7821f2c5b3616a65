"""Log-probabilities of tokens in the forms of OpenAI's chat and text completions."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Any

from openvino_server.v1 import inference_pb2

_LOWEST = -9999.0  # OpenAI's word for a token that is all but impossible; JSON has no infinity

TokenLogprobs = Iterable[inference_pb2.TokenLogprob]


def token_logprobs(tokens: TokenLogprobs) -> list[dict[str, Any]]:
    """Write tokens as chat completions have them. The engine gives no other likely tokens."""
    return [
        {
            "token": token.token.decode("utf-8", "replace"),
            "logprob": _finite(token.logprob),
            "bytes": list(token.token),
            "top_logprobs": [],
        }
        for token in tokens
    ]


class LegacyLogprobs:
    """Writes tokens as text completions have them, with the place of each in the text.

    A token that ends within a character begins where that character does.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._characters = 0

    def write(self, tokens: TokenLogprobs) -> dict[str, Any]:
        """Write the tokens that come next."""
        written: dict[str, Any] = {"tokens": [], "token_logprobs": [], "text_offset": []}
        for token in tokens:
            written["tokens"].append(token.token.decode("utf-8", "replace"))
            written["token_logprobs"].append(_finite(token.logprob))
            written["text_offset"].append(self._characters)
            self._characters += len(self._decoder.decode(token.token))
        return written | {"top_logprobs": None}


def _finite(logprob: float) -> float:
    return logprob if logprob > _LOWEST else _LOWEST
