"""Reranking in Cohere's form: the request checked, and the answer written.

Sources: https://docs.cohere.com/v2/reference/rerank and https://docs.cohere.com/v1/reference/rerank;
`model` and `usage` in the answer are of https://jina.ai/reranker and vLLM. Errors are OpenAI's, as
vLLM's are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from openvino_server.v1 import inference_pb2
from pydantic import Discriminator, Field, Tag, model_validator

from rest_gateway.openai.body import parse
from rest_gateway.openai.keep_alive import PARAMETER as KEEP_ALIVE
from rest_gateway.openai.keep_alive import KeepAliveFields, keep_alive_to_proto
from rest_gateway.openai.names import Names
from rest_gateway.openai.parameters import (
    Parameter,
    drop_refused,
    ignored,
    refused,
    supported,
)
from rest_gateway.openai.strict import StrictModel

MAX_DOCUMENTS = 1024
UINT32_MAX = 2**32 - 1
_NO_CUTS = "documents are never cut; one that is too long for the model is refused"

PARAMETERS: Mapping[str, Parameter] = {
    "model": supported("a rerank model or an embedding model"),
    "query": supported(),
    "documents": supported('at most 1,024; texts, or objects `{"text": …}`; none empty'),
    "top_n": supported("one that is more than the documents gives all of them"),
    "return_documents": supported("unset is false"),
    "max_tokens_per_doc": refused(_NO_CUTS),
    "max_chunks_per_doc": refused(_NO_CUTS),
    "rank_fields": refused("an object's text is all that is ranked", ["text"]),
    "truncate_prompt_tokens": refused(_NO_CUTS),
    "keep_alive": KEEP_ALIVE,
    "priority": ignored("requests take turns"),
    "user": ignored("this server does not watch its users"),
}

NAMES = Names()

Text = Annotated[str, Field(min_length=1)]


class Document(StrictModel):
    """A document as an object."""

    text: Text


def _form(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<object>" if isinstance(value, dict) else None


DocumentOrText = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[Document, Tag("<object>")],
    Discriminator(
        _form,
        custom_error_type="document_type",
        custom_error_message="must be a string or an object with text",
    ),
]


class RerankRequest(KeepAliveFields):
    """The body of `POST /v1/rerank`, `/v2/rerank` and `/rerank`."""

    model: str = Field(min_length=1)
    query: Text
    documents: Annotated[
        list[DocumentOrText], Field(min_length=1, max_length=MAX_DOCUMENTS, fail_fast=True)
    ]
    top_n: int | None = Field(None, ge=1, le=UINT32_MAX)
    return_documents: bool | None = None
    priority: int | None = None
    user: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _ask_for_what_is_there(cls, data: object) -> object:
        return drop_refused(data, PARAMETERS)

    @property
    def texts(self) -> list[str]:
        """The documents' texts."""
        return [entry if isinstance(entry, str) else entry.text for entry in self.documents]


parse_rerank = partial(parse, RerankRequest)


def request_to_proto(request: RerankRequest) -> inference_pb2.RerankRequest:
    """Write a request as the service reads it."""
    return inference_pb2.RerankRequest(
        model=request.model,
        query=request.query,
        documents=request.texts,
        top_n=request.top_n,
        keep_alive=keep_alive_to_proto(request),
    )


def answer_to_cohere(
    answer: inference_pb2.RerankResponse, request: RerankRequest, answer_id: str
) -> bytes:
    """Write an answer as JSON.

    Args:
        answer: The service's.
        request: What the client sent.
        answer_id: What the answer is called.

    """
    texts = request.texts
    results: list[dict[str, Any]] = []
    for result in answer.results:
        entry: dict[str, Any] = {
            "index": result.index,
            "relevance_score": result.relevance_score,
        }
        if request.return_documents:
            entry["document"] = {"text": texts[result.index]}
        results.append(entry)
    return msgspec.json.encode(
        {
            "id": answer_id,
            "results": results,
            "meta": {
                "api_version": {"version": "2"},
                "tokens": {"input_tokens": answer.prompt_tokens, "output_tokens": 0},
            },
            "model": request.model,
            "usage": {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens},
        }
    )
