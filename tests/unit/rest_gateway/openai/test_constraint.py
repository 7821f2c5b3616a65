import json
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2
from pydantic import ValidationError

from rest_gateway.openai.constraint import (
    MAX_CHOICE_TEXTS,
    ConstraintFields,
    constraint_names,
    constraint_to_proto,
)
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.invalid import invalid_request

SCHEMA = {"type": "object", "properties": {"z": {"const": "ü"}, "a": {"maximum": 10**40}}}
TEXT = '{"type":"object","properties":{"z":{"const":"ü"},"a":{"maximum":1%s}}}' % ("0" * 40)
Form = inference_pb2.OutputConstraint


def parse(**fields: Any) -> ConstraintFields:
    return ConstraintFields.model_validate_json(json.dumps(fields))


def refused(**fields: Any) -> ApiError:
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    return invalid_request(caught.value)


def response_format(**schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA} | schema}


CHOICES = Form(choices=inference_pb2.Choices(texts=["a", "b"]))


@pytest.mark.parametrize(
    ("name", "value", "form", "sent"),
    [
        ("response_format", {"type": "text"}, None, None),
        (
            "response_format",
            {"type": "json_object"},
            Form(json_object=inference_pb2.JsonObject()),
            "response_format",
        ),
        (
            "response_format",
            response_format(strict=False),
            Form(json_schema=TEXT),
            "response_format.json_schema.schema",
        ),
        (
            "structured_outputs",
            {"json": SCHEMA},
            Form(json_schema=TEXT),
            "structured_outputs.json",
        ),
        (
            "structured_outputs",
            {"regex": "a+", "json_object": False},
            Form(regex="a+"),
            "structured_outputs.regex",
        ),
        ("structured_outputs", {"choice": ["a", "b"]}, CHOICES, "structured_outputs.choice"),
        (
            "structured_outputs",
            {"grammar": "root ::= 'a'"},
            Form(grammar="root ::= 'a'"),
            "structured_outputs.grammar",
        ),
        (
            "structured_outputs",
            {"json_object": True},
            Form(json_object=inference_pb2.JsonObject()),
            "structured_outputs.json_object",
        ),
        ("guided_json", SCHEMA, Form(json_schema=TEXT), "guided_json"),
        (
            "guided_json",
            '{"type": "object"}',
            Form(json_schema='{"type": "object"}'),
            "guided_json",
        ),
        ("guided_regex", "a+", Form(regex="a+"), "guided_regex"),
        ("guided_choice", ["a", "b"], CHOICES, "guided_choice"),
        ("guided_grammar", "root ::= 'a'", Form(grammar="root ::= 'a'"), "guided_grammar"),
        ("json_schema", SCHEMA, Form(json_schema=TEXT), "json_schema"),
        ("grammar", "root ::= 'a'", Form(grammar="root ::= 'a'"), "grammar"),
    ],
)
def test_forms(name: str, value: Any, form: Form | None, sent: str | None) -> None:
    fields = parse(**{name: value})
    assert constraint_to_proto(fields) == form
    if form is not None:
        kind = form.WhichOneof("constraint")
        assert constraint_names(fields).sent_as(f"constraint.{kind}") == sent


def test_choice_at_fault_is_named() -> None:
    names = constraint_names(parse(structured_outputs={"choice": ["a", "b"]}))
    assert names.sent_as("constraint.choices.texts[1]") == "structured_outputs.choice[1]"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        (
            {"response_format": {"type": "text", "json_schema": {"name": "a", "schema": {}}}},
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
        (
            {"response_format": response_format(schema="{}")},
            "response_format.json_schema.schema",
        ),
        ({"response_format": response_format(name="a b")}, "response_format.json_schema.name"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"json_object": False}}, "structured_outputs"),
        ({"structured_outputs": {"json": {}, "regex": "a"}}, "structured_outputs.regex"),
        ({"structured_outputs": {"xml": "a"}}, "structured_outputs.xml"),
        ({"guided_choice": []}, "guided_choice"),
        ({"guided_choice": ["a", ""]}, "guided_choice[1]"),
        ({"guided_choice": ["a"] * (MAX_CHOICE_TEXTS + 1)}, "guided_choice"),
        ({"guided_json": 5}, "guided_json"),
        ({"guided_regex": ""}, "guided_regex"),
        ({"response_format": {"type": "json_object"}, "guided_regex": "a"}, "guided_regex"),
        ({"guided_json": {}, "structured_outputs": {"json": {}}}, "guided_json"),
    ],
)
def test_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


def test_second_form_is_told_of_the_first() -> None:
    error = refused(response_format={"type": "json_object"}, grammar="root ::= 'a'")
    assert error.message == ("Invalid value for 'grammar': can't be together with response_format.")


def test_text_format_goes_with_any_form() -> None:
    fields = parse(response_format={"type": "text"}, guided_regex="a")
    assert constraint_to_proto(fields) == Form(regex="a")
