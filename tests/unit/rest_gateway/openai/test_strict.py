import pytest
from pydantic import Field, ValidationError

from rest_gateway.openai.invalid import invalid_request
from rest_gateway.openai.strict import StrictModel


class Format(StrictModel):
    name: str = ""
    schema_: int = Field(0, alias="schema")


def test_field_is_known_by_its_alias_alone() -> None:
    assert Format.model_validate_json('{"name": "a", "schema": 3}').schema_ == 3
    with pytest.raises(ValidationError) as caught:
        Format.model_validate_json('{"schema_": 3}')
    assert invalid_request(caught.value).message == (
        "Unrecognized request argument supplied: schema_"
    )
