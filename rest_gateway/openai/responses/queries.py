"""What clients ask of a kept response in a URL's query, checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.query import Flag, Number
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel

MAX_LIMIT = 100  # OpenAI's

# Nothing more can be included: log-probabilities that were asked for are in the response.
_Include = Annotated[list[str], Field(max_length=16)]


class RetrieveQuery(StrictModel):
    """The query of `GET /v1/responses/{id}`."""

    include: _Include | None = None
    include_obfuscation: Flag | None = None
    starting_after: Number | None = None
    stream: Flag | None = None

    @field_validator("stream", "starting_after")
    @classmethod
    def _is_not_streamed(cls, value: int | None) -> int | None:
        if value is not None and value is not False:
            raise PydanticCustomError(
                UNSUPPORTED, "a response that is kept is given whole, not as a stream"
            )
        return value


class InputItemsQuery(StrictModel):
    """The query of `GET /v1/responses/{id}/input_items`."""

    after: str | None = None
    include: _Include | None = None
    limit: Annotated[Number, Field(ge=1, le=MAX_LIMIT)] = 20
    order: Literal["asc", "desc"] = "desc"


LISTS = frozenset({"include"})
