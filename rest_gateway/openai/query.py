"""What clients ask in a URL's query, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from rest_gateway.openai.invalid import invalid_request
from rest_gateway.openai.strict import StrictModel

# Values in a URL are all strings.
Number = Annotated[int, Field(strict=False)]
Flag = Annotated[bool, Field(strict=False)]

_Query = TypeVar("_Query", bound=StrictModel)


def parse_query(
    kind: type[_Query], sent: Iterable[tuple[str, str]], lists: Collection[str] = ()
) -> _Query:
    """Read a query.

    Args:
        kind: What it is to be.
        sent: Names and values; a list's name may end in `[]`, as OpenAI's clients write it.
        lists: The names that may come several times.

    Raises:
        ApiError: It is something else.

    """
    values: dict[str, object] = {}
    several: dict[str, list[str]] = {}
    for name, value in sent:
        key = name.removesuffix("[]")
        if key in lists:
            several.setdefault(key, []).append(value)
        else:
            values[name] = value
    try:
        return kind.model_validate(values | several)
    except ValidationError as error:
        raise invalid_request(error) from None
