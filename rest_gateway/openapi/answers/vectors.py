"""What `/v1/embeddings` and `/v1/rerank` answer."""

from __future__ import annotations

from typing import Literal

from rest_gateway.openapi.operation import Answer


class InputUsage(Answer):
    """Tokens of the input; nothing is generated."""

    prompt_tokens: int
    total_tokens: int


class Embedding(Answer):
    """A vector of unit length: numbers, or base64 of little-endian 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(Answer):
    """A vector for each input, in order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: InputUsage


class RankedDocument(Answer):
    """A document, if `return_documents` asked for it."""

    text: str


class RerankResult(Answer):
    """A document's place in the request, and how well it answers, 0 to 1."""

    index: int
    relevance_score: float
    document: RankedDocument | None = None


class ApiVersion(Answer):
    """The version of Cohere's API that the form is of."""

    version: str


class BilledTokens(Answer):
    """Tokens in Cohere's words."""

    input_tokens: int
    output_tokens: int


class RerankMeta(Answer):
    """What the answer took."""

    api_version: ApiVersion
    tokens: BilledTokens


class Ranking(Answer):
    """Documents, the best first."""

    id: str
    results: list[RerankResult]
    meta: RerankMeta
    model: str
    usage: InputUsage
