"""What requests for vectors and scores ask for, and what they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """A request for the vectors of texts, or of token ids.

    Attributes:
        model: The model's name.
        inputs: Texts or token ids, at least one, none empty.
        dimensions: Components of a vector, at least 1; `None` is all that the model gives.
        keep_alive_seconds: As in `GenerateRequest`.

    """

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    keep_alive_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of unit length, in the order of their inputs, each as little-endian float32."""

    vectors: Sequence[bytes]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """A request for the documents that answer a query best; `top_n` of `None` is all of them."""

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    keep_alive_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document's place in the request, from 0, and its score, 0 to 1."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents, the best first; tokens are those of the query and all documents together."""

    results: Sequence[RankedDocument]
    prompt_tokens: int
