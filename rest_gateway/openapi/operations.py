"""Every operation of the gateway."""

from __future__ import annotations

from rest_gateway.cohere.rerank import RerankRequest
from rest_gateway.openai.embeddings import EmbeddingsRequest
from rest_gateway.openapi.admin import admin_operations
from rest_gateway.openapi.answers import models, vectors
from rest_gateway.openapi.generation import generation_operations
from rest_gateway.openapi.operation import Operation
from rest_gateway.vllm.schema import DetokenizeRequest, TokenizeRequest


def all_operations() -> list[Operation]:
    """List every operation, in the order to show them."""
    return [*generation_operations(), *_vectors(), *_tokens(), *_models(), *admin_operations()]


def _vectors() -> list[Operation]:
    ranking = [
        Operation(
            "post",
            path,
            "Embeddings",
            "Rank documents by how well they answer a query",
            vectors.Ranking,
            RerankRequest,
            "Cohere's API, with a rerank model or an embedding model.",
            {
                "Two documents": {
                    "model": "MODEL",
                    "query": "What is the capital of France?",
                    "documents": ["Paris is the capital of France.", "Bread is baked."],
                    "top_n": 1,
                }
            },
        )
        for path in ("/v1/rerank", "/v2/rerank", "/rerank")
    ]
    embeddings = Operation(
        "post",
        "/v1/embeddings",
        "Embeddings",
        "Turn texts into vectors",
        vectors.EmbeddingList,
        EmbeddingsRequest,
        examples={
            "Two texts": {"model": "MODEL", "input": ["a cat", "a dog"]},
            "Base64": {"model": "MODEL", "input": "a cat", "encoding_format": "base64"},
        },
    )
    return [embeddings, *ranking]


def _tokens() -> list[Operation]:
    operations = []
    for root in ("/v1", ""):
        operations += [
            Operation(
                "post",
                f"{root}/tokenize",
                "Tokens",
                "Turn text or a conversation into token ids",
                models.Tokens,
                TokenizeRequest,
                "As vLLM and llama.cpp have it.",
                {
                    "A text": {"model": "MODEL", "prompt": "Hello world"},
                    "A conversation": {
                        "model": "MODEL",
                        "messages": [{"role": "user", "content": "Hello"}],
                    },
                },
            ),
            Operation(
                "post",
                f"{root}/detokenize",
                "Tokens",
                "Turn token ids into text",
                models.Text,
                DetokenizeRequest,
                "As vLLM and llama.cpp have it.",
                {"Token ids": {"model": "MODEL", "tokens": [72, 105]}},
            ),
        ]
    return operations


def _models() -> list[Operation]:
    return [
        Operation(
            "get",
            "/v1/models",
            "Models",
            "List the models",
            models.ModelList,
            description="Those that answer now; with `state=all`, all. Aliases, and models with a "
            "LoRA adapter, are listed as models of their own.",
            query={"state": {"enum": ["available", "all"], "default": "available"}},
            errors=(400,),
        ),
        Operation(
            "get",
            "/v1/models/{name:path}",
            "Models",
            "Tell of one model, in any state",
            models.Model,
        ),
        *(
            Operation(
                "get",
                path,
                "Health",
                "Tell whether every model answers",
                models.Healthy,
                open=True,
                unwell=models.Unhealthy,
            )
            for path in ("/v1/health", "/health")
        ),
    ]
