"""The requests that change models, checked. Types are strict, as in all requests here."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.body import parse, parse_body
from rest_gateway.openai.keep_alive import MAX_SECONDS
from rest_gateway.openai.models import MAX_MODEL_NAME
from rest_gateway.openai.query import Flag
from rest_gateway.openai.strict import StrictModel, on

# The service's bounds; see `rpc/mapping/pulls` there.
MAX_SOURCE = 2048
MAX_REVISION = 256
MAX_TOKEN = 4096
MAX_PATTERNS = 64
MAX_DIGESTS = 4096
MAX_PATH = 1024
MAX_GROUP_SIZE = 1 << 16
MAX_WATCHED = 128  # fewer than the service takes: a URL holds no more

Source = Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)]
Path = Annotated[str, Field(min_length=1, max_length=MAX_PATH)]
Sha256 = Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")]


class LoadRequest(StrictModel):
    """The body of `POST /v1/admin/models/load`."""

    model: str = Field(min_length=1)
    reload: bool | None = None
    detach: bool | None = None
    pinned: bool | None = None
    stream: bool | None = None


class UnloadRequest(StrictModel):
    """The body of `POST /v1/admin/models/unload`."""

    model: str = Field(min_length=1)
    drain_timeout_seconds: float | None = Field(None, ge=0, le=MAX_SECONDS, allow_inf_nan=False)


class Compression(StrictModel):
    """How the weights of a model are to be stored."""

    format: Literal["int8", "int4_sym", "int4_asym"]
    group_size: int | None = Field(None, ge=1, le=MAX_GROUP_SIZE)

    @model_validator(mode="after")
    def _groups_are_of_four_bits(self) -> Self:
        if self.group_size is not None and self.format == "int8":
            raise PydanticCustomError("group_size", "is of 4-bit formats only", on("group_size"))
        return self


class PullRequest(StrictModel):
    """The body of `POST /v1/admin/models/pull`."""

    source: Source
    name: Annotated[str, Field(min_length=1, max_length=MAX_MODEL_NAME)] | None = None
    revision: Annotated[str, Field(min_length=1, max_length=MAX_REVISION)] | None = None
    allow_patterns: Annotated[list[Path], Field(max_length=MAX_PATTERNS, fail_fast=True)] | None = (
        None
    )
    token: Annotated[SecretStr, Field(min_length=1, max_length=MAX_TOKEN)] | None = None
    companions: Source | None = None
    sha256: dict[Path, Sha256] | None = None
    compression: Compression | None = None
    stream: bool | None = None

    @field_validator("sha256", mode="before")
    @classmethod
    def _digests_are_few(cls, value: object) -> object:
        # Here, as pydantic counts a dictionary's entries after it has checked them all.
        if isinstance(value, dict) and len(value) > MAX_DIGESTS:
            raise PydanticCustomError("sha256", f"must have at most {MAX_DIGESTS} entries")
        return value


class DeleteQuery(StrictModel):
    """The query of `DELETE /v1/admin/models/{name}`."""

    unload: Flag | None = None


class WatchQuery(StrictModel):
    """The query of `GET /v1/admin/models/watch`."""

    model: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_MODEL_NAME)]],
            Field(max_length=MAX_WATCHED, fail_fast=True),
        ]
        | None
    ) = None


WATCH_LISTS = frozenset({"model"})

parse_load = partial(parse, LoadRequest)
parse_unload = partial(parse, UnloadRequest)
parse_pull = partial(parse_body, PullRequest)
