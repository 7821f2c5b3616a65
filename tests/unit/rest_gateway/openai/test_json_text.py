import json
from typing import Any

import pytest
from pydantic import ValidationError

from rest_gateway.openai.json_text import JsonObject, JsonSchema
from rest_gateway.openai.strict import StrictModel


class Both(StrictModel):
    thing: JsonObject | None = None
    form: JsonSchema | None = None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "{}"),
        ({"b": 1, "a": [True, None]}, '{"b":1,"a":[true,null]}'),
        ({"a": 10**40}, '{"a":1' + "0" * 40 + "}"),
        ({"ü": "\n"}, '{"ü":"\\n"}'),
    ],
)
def test_objects_are_written_as_they_came(given: Any, text: str) -> None:
    both = Both.model_validate_json(json.dumps({"thing": given, "form": given}))
    assert (both.thing, both.form) == (text, text)


def test_schema_may_be_text() -> None:
    assert Both.model_validate_json('{"form": "{}"}').form == "{}"


@pytest.mark.parametrize("given", ["[]", "5", "true"])
@pytest.mark.parametrize("name", ["thing", "form"])
def test_others_are_refused(name: str, given: str) -> None:
    with pytest.raises(ValidationError):
        Both.model_validate_json(f'{{"{name}": {given}}}')
