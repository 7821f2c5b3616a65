"""Embeddings in OpenAI's form: the request checked, and the answer written.

Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import asyncio
import base64
import sys
from array import array
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from openvino_server.v1 import inference_pb2
from pydantic import Discriminator, Field, Tag

from rest_gateway.openai.body import parse
from rest_gateway.openai.keep_alive import PARAMETER as KEEP_ALIVE
from rest_gateway.openai.keep_alive import KeepAliveFields, keep_alive_to_proto
from rest_gateway.openai.names import Names
from rest_gateway.openai.parameters import Parameter, ignored, supported

MAX_INPUTS = 2048
MAX_TOKEN_IDS = 1 << 20
UINT32_MAX = 2**32 - 1
# Written before other requests have their turn on the event loop: about a millisecond.
_VECTORS_A_TURN = 64

PARAMETERS: Mapping[str, Parameter] = {
    "model": supported("an embedding model"),
    "input": supported("at most 2,048 texts or lists of token ids, none empty"),
    "encoding_format": supported("`float` or `base64`: little-endian 32-bit floats"),
    "dimensions": supported("the first components, at unit length again; for any model"),
    "keep_alive": KEEP_ALIVE,
    "user": ignored("this server does not watch its users"),
}

Text = Annotated[str, Field(min_length=1)]
TokenId = Annotated[int, Field(ge=0, le=UINT32_MAX)]
TokenIds = Annotated[list[TokenId], Field(min_length=1, max_length=MAX_TOKEN_IDS, fail_fast=True)]
# Tags in angle brackets, which errors leave out of a parameter's name.
_TEXT, _TEXTS, _TOKENS, _LISTS = "<text>", "<texts>", "<tokens>", "<lists>"


def _form(value: object) -> str | None:
    """Tell which of its forms an input has, by its first item."""
    if isinstance(value, str):
        return _TEXT
    if not isinstance(value, list):
        return None
    if not value or isinstance(value[0], str):
        return _TEXTS
    if isinstance(value[0], list):
        return _LISTS
    return _TOKENS if isinstance(value[0], int) else None


Input = Annotated[
    Annotated[Text, Tag(_TEXT)]
    | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag(_TEXTS)]
    | Annotated[TokenIds, Tag(_TOKENS)]
    | Annotated[
        list[TokenIds], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag(_LISTS)
    ],
    Discriminator(
        _form,
        custom_error_type="input_type",
        custom_error_message="must be a string, a list of strings, a list of token ids, or a list "
        "of such lists",
    ),
]


class EmbeddingsRequest(KeepAliveFields):
    """The body of `POST /v1/embeddings`."""

    model: str = Field(min_length=1)
    input: Input
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1, le=UINT32_MAX)
    user: str | None = None

    @property
    def is_one(self) -> bool:
        """Whether `input` is one input, not a list of them."""
        return isinstance(self.input, str) or isinstance(self.input[0], int)


parse_embeddings = partial(parse, EmbeddingsRequest)


def names_of(request: EmbeddingsRequest) -> Names:
    """Say how the client calls the service's fields."""
    fields = {"texts": "input", "token_ids": "input"}
    return Names(merged=fields) if request.is_one else Names(renamed=fields)


def request_to_proto(request: EmbeddingsRequest) -> inference_pb2.EmbedRequest:
    """Write a request as the service reads it."""
    wanted = inference_pb2.EmbedRequest(
        model=request.model,
        dimensions=request.dimensions,
        keep_alive=keep_alive_to_proto(request),
    )
    inputs: Iterable[Any] = [request.input] if request.is_one else request.input
    for entry in inputs:
        if isinstance(entry, str):
            wanted.texts.append(entry)
        else:
            wanted.token_ids.add(ids=entry)
    return wanted


async def answer_to_openai(
    answer: inference_pb2.EmbedResponse, request: EmbeddingsRequest
) -> bytes:
    """Write an answer as JSON, with room for other requests on the event loop.

    Args:
        answer: The service's.
        request: What the client sent, which says in what form it wants the vectors.

    """
    data: list[bytes] = []
    for index, embedding in enumerate(answer.embeddings):
        if index % _VECTORS_A_TURN == _VECTORS_A_TURN - 1:
            await asyncio.sleep(0)
        values: Any = embedding.values
        vector = _base64(values) if request.encoding_format == "base64" else list(values)
        entry = {"object": "embedding", "index": index, "embedding": vector}
        data.append(msgspec.json.encode(entry))
    tail = {
        "model": request.model,
        "usage": {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens},
    }
    return b'{"object":"list","data":[%b],%b' % (b",".join(data), msgspec.json.encode(tail)[1:])


def _base64(values: Iterable[float]) -> str:
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode("ascii")
