"""What becomes of a request's parameters: each API has a table, which its schema is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic_core import PydanticCustomError

from rest_gateway.openai.shown import as_json
from rest_gateway.openai.strict import UNSUPPORTED, on


@dataclass(frozen=True, slots=True)
class Parameter:
    """What becomes of a parameter.

    Attributes:
        support: `supported`: it does what the API says. `ignored`: it is taken, checked and does
            nothing, for the reason given. `refused`: a request with it fails, but for null and
            the values in `neutral`, which ask for nothing.
        reason: Why, or what of it; for the documentation.
        neutral: What may be sent of a refused parameter besides null.

    """

    support: Literal["supported", "ignored", "refused"]
    reason: str = ""
    neutral: tuple[object, ...] = ()


def supported(reason: str = "") -> Parameter:
    """Say that a parameter does what the API says; `reason` is what of it."""
    return Parameter("supported", reason)


def ignored(reason: str) -> Parameter:
    """Say that a parameter is taken and does nothing, and why."""
    return Parameter("ignored", reason)


def refused(reason: str, *neutral: object) -> Parameter:
    """Say that a parameter is refused, why, and which values besides null ask for nothing."""
    return Parameter("refused", reason, neutral)


def drop_refused(data: object, parameters: Mapping[str, Parameter]) -> object:
    """Leave out of a request the parameters that are refused, if they ask for nothing.

    Args:
        data: The request; what is no object is passed on.
        parameters: What becomes of each.

    Raises:
        PydanticCustomError: They ask for something.

    """
    if not isinstance(data, dict):
        return data
    kept = {}
    for name, value in data.items():
        parameter = parameters.get(name)
        if parameter is None or parameter.support != "refused":
            kept[name] = value
        # Types are compared too, as 0 == False.
        elif value is not None and not any(
            type(value) is type(neutral) and value == neutral for neutral in parameter.neutral
        ):
            raise PydanticCustomError(UNSUPPORTED, "{why}", on(name, why=why_refused(parameter)))
    return kept


def why_refused(parameter: Parameter) -> str:
    """Say why a refused parameter is, and what may be sent of it, in an error's words."""
    neutral = " or ".join(map(as_json, parameter.neutral))
    but = f"; it may only be {neutral}" if neutral else ""
    why = parameter.reason.replace("`", "'")
    return f"it is not supported{but}: {why}"
