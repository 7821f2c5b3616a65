"""What a worker for embedding and reranking needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

MAX_TEXT_BYTES = 1 << 20
"""How long a text may be. A token may stand for any text: an unknown word is one, however long."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text, or of a pair of texts.

    Attributes:
        ids: In the model's vocabulary, with its special tokens.
        second: Of a pair: where the second text begins.

    """

    ids: Sequence[int]
    second: int | None = None


class EmbeddingModel(Protocol):
    """Turns tokens into vectors, or pairs of texts into scores."""

    @property
    def dimensions(self) -> int | None:
        """Components of a vector; `None` for a model that scores pairs."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """How many token ids there are."""
        ...

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = True) -> list[list[int]]:
        """Turn each text into token ids, however many.

        Raises:
            RequestRefused: The tokenizer can't read one of them.

        """
        ...

    def encode_pairs(self, first: str, seconds: Sequence[str]) -> list[Tokens]:
        """Turn a text, with each of others, into the tokens of pairs; otherwise as `encode`."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Turn token ids of the vocabulary into text."""
        ...

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        """Do one forward pass.

        Returns:
            For each input a row: a vector of unit length, or one score, 0 to 1.

        """
        ...


def longest_token_bytes(context_length: int) -> int:
    """Give such bytes a token that all that the model takes may have `MAX_TEXT_BYTES`."""
    return max(1, MAX_TEXT_BYTES // context_length)


def to_unit_length(vectors: npt.NDArray[Any]) -> Vectors:
    """Scale each row to length 1."""
    exact = vectors.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True), dtype=np.float32)
