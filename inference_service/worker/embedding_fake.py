"""The fake embedding model: no model at all, for tests of everything around one.

Its tokens are the bytes of UTF-8. A vector is made of a hash of the tokens; a pair's score is the
part of the query's words that the document has. An input that is `!fail` makes the step raise, and
one that is `!hang` makes the step never end.
"""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from inference_service.engine.settings import ModelSettings
from inference_service.worker.embedding import Tokens, Vectors, to_unit_length
from inference_service.worker.fake_load import fake_load

DIMENSIONS = 8
_SEPARATOR = 256


class FakeEmbeddingModel:
    """See the module, and `EmbeddingModel`.

    Args:
        kind: What it does.
        settings: Those of the fake engine are honoured.

    Raises:
        LoadFailure: See `fake_load`.

    """

    vocabulary_size = 257

    def __init__(self, kind: Literal["embedding", "rerank"], settings: ModelSettings) -> None:
        self._settings = settings
        self._memory = fake_load(settings)
        self.dimensions = DIMENSIONS if kind == "embedding" else None

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = True) -> list[list[int]]:
        """See `EmbeddingModel`; the one special token is the separator at the end."""
        end = [_SEPARATOR] if add_special_tokens else []
        return [[*text.encode(), *end] for text in texts]

    def encode_pairs(self, first: str, seconds: Sequence[str]) -> list[Tokens]:
        """See `EmbeddingModel`."""
        query, *documents = self.encode([first, *seconds])
        return [Tokens([*query, *document], len(query)) for document in documents]

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """See `EmbeddingModel`."""
        shown = b"" if skip_special_tokens else b"<end>"
        parts = [shown if token == _SEPARATOR else bytes([token]) for token in token_ids]
        return b"".join(parts).decode("utf-8", "replace")

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        """See `EmbeddingModel`."""
        time.sleep(self._settings.fake_step_seconds)  # stands for the forward pass
        return np.concatenate([self._run(tokens) for tokens in batch])

    def _run(self, tokens: Tokens) -> Vectors:
        texts = self.decode(tokens.ids[: tokens.second], skip_special_tokens=True)
        if texts == "!fail":
            raise RuntimeError("the fake engine was asked to fail")
        while texts == "!hang":
            signal.pause()
        if tokens.second is None:
            digest = hashlib.sha256(np.array(tokens.ids, dtype="<i8").tobytes()).digest()
            numbers = np.frombuffer(digest, dtype="<u4").astype(np.float64) / 2**31 - 1
            return to_unit_length(numbers[None, :])
        words = set(texts.split())
        document = self.decode(tokens.ids[tokens.second :], skip_special_tokens=True)
        found = words & set(document.split())
        return np.array([[len(found) / max(1, len(words))]], dtype=np.float32)
