"""What form a completion must have, by any of the names that clients know.

OpenAI's is `response_format`. vLLM's are `structured_outputs` and the older `guided_*`, llama.cpp's
`json_schema` and `grammar`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, Self

from openvino_server.v1 import inference_pb2
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.json_text import JsonObject, JsonSchema
from rest_gateway.openai.names import Names
from rest_gateway.openai.strict import StrictModel, on

MAX_CHOICE_TEXTS = 1_024

_Texts = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(min_length=1, max_length=MAX_CHOICE_TEXTS, fail_fast=True),
]
_Text = Annotated[str, Field(min_length=1)]


class ResponseSchema(StrictModel):
    """A named JSON Schema. It is enforced whether `strict` or not."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = None
    json_schema: JsonObject = Field(alias="schema")
    strict: bool | None = None

    @field_validator("name", mode="wrap")
    @classmethod
    def _name_is_short(cls, value: object, check: Callable[[object], str]) -> str:
        try:
            return check(value)
        except ValueError:
            raise PydanticCustomError(
                "name", "must be 1 to 64 characters of a-z, A-Z, 0-9, _ and -"
            ) from None


class ResponseFormat(StrictModel):
    """OpenAI's form of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: ResponseSchema | None = None

    @model_validator(mode="after")
    def _schema_fits_type(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise PydanticCustomError("missing", "is missing", on("json_schema"))
        if self.type != "json_schema" and self.json_schema is not None:
            raise PydanticCustomError(
                "json_schema", "is allowed only with type 'json_schema'", on("json_schema")
            )
        return self


class StructuredOutputs(StrictModel):
    """vLLM's form of an answer: one of these."""

    json_schema: JsonSchema | None = Field(None, alias="json")
    regex: _Text | None = None
    choice: _Texts | None = None
    grammar: _Text | None = None
    json_object: bool | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [
            name
            for name, value in (
                ("json", self.json_schema),
                ("regex", self.regex),
                ("choice", self.choice),
                ("grammar", self.grammar),
                ("json_object", self.json_object or None),
            )
            if value is not None
        ]
        if not given:
            raise PydanticCustomError(
                "structured_outputs", "must have json, regex, choice, grammar or json_object"
            )
        if len(given) > 1:
            raise PydanticCustomError(
                "structured_outputs", f"can't be together with {given[0]}", on(given[1])
            )
        return self


class ConstraintFields(StrictModel):
    """The parameters that become an `OutputConstraint`; at most one of them."""

    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: JsonSchema | None = None
    guided_regex: _Text | None = None
    guided_choice: _Texts | None = None
    guided_grammar: _Text | None = None
    json_schema: JsonSchema | None = None
    grammar: _Text | None = None

    @model_validator(mode="after")
    def _one_constraint(self) -> Self:
        given = list(_constraints(self))
        if len(given) > 1:
            second = given[1].partition(".")[0]
            first = given[0].partition(".")[0]
            raise PydanticCustomError("constraints", f"can't be together with {first}", on(second))
        return self


def constraint_to_proto(fields: ConstraintFields) -> inference_pb2.OutputConstraint | None:
    """Say the form in the service's terms; None if any will do."""
    return next(iter(_constraints(fields).values()), None)


def constraint_names(fields: ConstraintFields) -> Names:
    """Tell under which name the client sent the form."""
    sent = next(iter(_constraints(fields)), None)
    if sent is None:
        return Names()
    return Names(renamed={"constraint.choices.texts": sent}, merged={"constraint": sent})


def _constraints(fields: ConstraintFields) -> Mapping[str, inference_pb2.OutputConstraint]:
    """List all forms that are given, by the names under which they are."""
    form = inference_pb2.OutputConstraint
    anything = inference_pb2.JsonObject()
    wanted = fields.response_format
    outputs = fields.structured_outputs or StructuredOutputs.model_construct()
    given = {
        "response_format.json_schema.schema": form(json_schema=wanted.json_schema.json_schema)
        if wanted and wanted.json_schema
        else None,
        "response_format": form(json_object=anything)
        if wanted and wanted.type == "json_object"
        else None,
        "structured_outputs.json": _schema(outputs.json_schema),
        "structured_outputs.regex": _regex(outputs.regex),
        "structured_outputs.choice": _choices(outputs.choice),
        "structured_outputs.grammar": _grammar(outputs.grammar),
        "structured_outputs.json_object": form(json_object=anything)
        if outputs.json_object
        else None,
        "guided_json": _schema(fields.guided_json),
        "guided_regex": _regex(fields.guided_regex),
        "guided_choice": _choices(fields.guided_choice),
        "guided_grammar": _grammar(fields.guided_grammar),
        "json_schema": _schema(fields.json_schema),
        "grammar": _grammar(fields.grammar),
    }
    return {name: constraint for name, constraint in given.items() if constraint is not None}


def _schema(text: str | None) -> inference_pb2.OutputConstraint | None:
    return None if text is None else inference_pb2.OutputConstraint(json_schema=text)


def _regex(text: str | None) -> inference_pb2.OutputConstraint | None:
    return None if text is None else inference_pb2.OutputConstraint(regex=text)


def _grammar(text: str | None) -> inference_pb2.OutputConstraint | None:
    return None if text is None else inference_pb2.OutputConstraint(grammar=text)


def _choices(texts: list[str] | None) -> inference_pb2.OutputConstraint | None:
    if texts is None:
        return None
    return inference_pb2.OutputConstraint(choices=inference_pb2.Choices(texts=texts))
