"""What all checked objects of a request have in common.

pydantic would gather every error of a body, and a body of 8 MB has room for millions, which takes
the event loop for half a minute. So every list is bounded and stops at its first bad item, and so
does every object at its first unknown key.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.shown import shorten

UNKNOWN = "unknown_parameter"
UNSUPPORTED = "unsupported_parameter"


class StrictModel(BaseModel):
    """An object without coercion and without unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: object) -> object:
        if isinstance(data, dict):
            fields = cls.model_fields
            for name in data:
                field = fields.get(name)
                renamed = field is None or field.alias is not None
                if renamed and all(other.alias != name for other in fields.values()):
                    raise PydanticCustomError(UNKNOWN, "is not known", on(shorten(str(name))))
        return data


def on(param: str, **context: Any) -> dict[str, Any]:
    """Name the parameter at fault, below the object that raises."""
    return {"param": param, **context}
