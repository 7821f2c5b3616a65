"""What clients ask of a kept response in a URL's query, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.invalid import invalid_request
from rest_gateway.openai.strict import UNSUPPORTED, StrictModel

MAX_LIMIT = 100  # OpenAI's

# Values in a URL are all strings.
_Number = Annotated[int, Field(strict=False)]
_Flag = Annotated[bool, Field(strict=False)]
# Nothing more can be included: log-probabilities that were asked for are in the response.
_Include = Annotated[list[str], Field(max_length=16)]


class RetrieveQuery(StrictModel):
    """The query of `GET /v1/responses/{id}`."""

    include: _Include | None = None
    include_obfuscation: _Flag | None = None
    starting_after: _Number | None = None
    stream: _Flag | None = None

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
    limit: Annotated[_Number, Field(ge=1, le=MAX_LIMIT)] = 20
    order: Literal["asc", "desc"] = "desc"


_Query = TypeVar("_Query", bound=StrictModel)


def parse_query(kind: type[_Query], sent: Iterable[tuple[str, str]]) -> _Query:
    """Read a query.

    Args:
        kind: What it is to be.
        sent: Names and values; a list's name may end in `[]`, as OpenAI's clients write it.

    Raises:
        ApiError: It is something else.

    """
    values: dict[str, object] = {}
    lists: dict[str, list[str]] = {}
    for name, value in sent:
        key = name.removesuffix("[]")
        if key == "include":
            lists.setdefault(key, []).append(value)
        else:
            values[name] = value
    try:
        return kind.model_validate(values | lists)
    except ValidationError as error:
        raise invalid_request(error) from None
