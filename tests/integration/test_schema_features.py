"""Each feature of OpenAI's strict schemas: random texts of the real compiler, all valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inference_service.domain import Constraint
from inference_service.engine import frames
from inference_service.grammar import grammar_of
from inference_service.worker.compiler import OpenVinoCompiler

SEEDS = 24
TOKENS = 300
SHORT = {"type": "string", "maxLength": 4}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


INTEGERS = {
    "integer": {},
    "minimum": {"minimum": 5},
    "minimum below zero": {"minimum": -5},
    "maximum": {"maximum": 120},
    "both": {"minimum": 125, "maximum": 139},
    "over zero": {"minimum": -12, "maximum": 2345},
    "exclusive": {"exclusiveMinimum": 0, "exclusiveMaximum": 3},
}
NUMBERS = {
    "number": {},
    "probability": {"minimum": 0, "maximum": 1},
    "fractions": {"minimum": -0.25, "exclusiveMaximum": 17.5},
    "exclusive number": {"exclusiveMinimum": 0, "maximum": 0.001},
    "below": {"maximum": -3.5},
}
FORMATS = ["date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6"]
FORMATS += ["uuid", "uri"]
FEATURES: dict[str, Any] = {
    **{name: {"type": "integer"} | bounds for name, bounds in INTEGERS.items()},
    **{name: {"type": "number"} | bounds for name, bounds in NUMBERS.items()},
    **{f"format {name}": {"type": "string", "format": name} for name in FORMATS},
    "multipleOf 1": {"type": "number", "multipleOf": 1},
    "string": SHORT,
    "lengths": {"type": "string", "minLength": 2, "maxLength": 5},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d+(\\.\\w{1,3})?$"},
    "escaped pattern": {"type": "string", "pattern": '^"\\\\[^a]{1,3}\\n/.$'},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "enum": {"type": "string", "enum": ["a", 'é"\\/\n', "😀"]},
    "enum of many types": {"enum": [1, 1.5, None, {"a": [1]}, "x"]},
    "const": {"const": {"a/b": ["\u2028"]}},
    "nullable": {"type": ["string", "null"], "maxLength": 3},
    "anyOf": {"anyOf": [{"type": "integer", "minimum": 7}, {"type": "null"}]},
    "allOf of one": {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "integer"}}},
    "oneOf that exclude each other": {
        "oneOf": [
            closed(kind={"const": k}, value=v)
            for k, v in (("i", {"type": "integer"}), ("s", SHORT))
        ]
    },
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    "empty array": {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
    "prefixItems": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, SHORT],
        "items": False,
        "minItems": 1,
    },
    "object": closed(a=SHORT, b={"type": "integer"}),
    "awkward names": closed(**{'q"\\\n/~': {"type": "null"}, "é😀": {"type": "null"}}),
    "optional properties": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abcdef"},
        "required": ["c", "e"],
    },
    "other properties": {
        "type": "object",
        "properties": {"ab": {"type": "null"}, "a": {"type": "null"}, "": {"type": "null"}},
        "additionalProperties": {"type": "boolean"},
    },
    "required alone": {"type": "object", "required": ["a"], "additionalProperties": SHORT},
    "definitions": {
        **closed(a={"$ref": "#/$defs/x~1y"}, b={"$ref": "#/$defs/x~1y"}),
        "$defs": {"x/y": SHORT},
    },
    "recursion by #": closed(v={"type": "null"}, next={"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
    "recursion by a definition": {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": closed(
                children={"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}
            )
        },
    },
    "anything": {"type": "array", "items": {}, "maxItems": 2},
}


@pytest.fixture(scope="module")
def compiler(model_dir: Path) -> OpenVinoCompiler:
    return OpenVinoCompiler(str(model_dir))


def texts(compiler: OpenVinoCompiler, constraint: Constraint, seeds: int = SEEDS) -> list[str]:
    made = grammar_of(constraint)
    grammar = frames.Grammar(made.kind, made.source)
    assert compiler.problem(grammar) is None
    return [compiler.sample(grammar, seed=seed, max_tokens=TOKENS) for seed in range(seeds)]


@pytest.mark.parametrize("name", FEATURES)
def test_what_is_taken_is_enforced(compiler: OpenVinoCompiler, name: str) -> None:
    schema = FEATURES[name]
    check = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    whole = 0
    for text in texts(compiler, Constraint("json_schema", json.dumps(schema))):
        try:
            value = json.loads(text)
        except json.JSONDecodeError:  # cut off, as a text that random tokens make may be
            continue
        check.validate(value)
        whole += 1
    assert whole >= 3


def test_any_object(compiler: OpenVinoCompiler) -> None:
    found = texts(compiler, Constraint("json_object"))
    assert all(text.startswith("{") for text in found)
    assert any(isinstance(json.loads(text), dict) for text in found if text.endswith("}"))


@pytest.mark.parametrize(
    "source", [r"[a-f]{2,3}-\d+\.x", r"(ab|c)+d?", r"^é[^\s\w]{1,2}$", r"\u0041\x42\S"]
)
def test_regular_expressions(compiler: OpenVinoCompiler, source: str) -> None:
    whole = 0
    for text in texts(compiler, Constraint("regex", source)):
        whole += re.fullmatch(source, text, re.ASCII) is not None
        assert len(text) > 150 or re.fullmatch(source, text, re.ASCII)
    assert whole >= 3


def test_choices(compiler: OpenVinoCompiler) -> None:
    choices = ("yes", "no", 'a "quoted"\\ one\n', "]-^", "é", "😀 \u2028", "\x7f\t")
    found = texts(compiler, Constraint("choices", choices=choices), seeds=60)
    assert set(found) == set(choices)


@pytest.mark.parametrize(
    "source",
    [
        r'root ::= ("- " [^\r\n\x0b] "\n"){1,3} # a list',
        'root ::= t "+" root | t\nt ::= [0-9] | "(" root ")"',
        r'root ::= "\u00e9\x41" ws [-+*/^.\]]' + "\n" + r"ws ::= ([ \t\n] ws)?",
    ],
)
def test_grammars_of_requests_compile(compiler: OpenVinoCompiler, source: str) -> None:
    assert any(texts(compiler, Constraint("grammar", source), seeds=2))


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [
        ("ebnf", "root ::= foo", 'line 1, column 10: Rule "foo" is not defined'),
        ("ebnf", "", 'The root rule with name "root" is not found'),
        ("json_schema", '{"type": 5', "Failed to parse JSON: syntax error"),
        ("json_schema", '{"type": "nonsense"}', 'Unsupported type "nonsense"'),
        ("regex", "[a-z", "Unclosed '['"),
        ("structural_tag", "{}", "Structural tag must have a format field"),
    ],
)
def test_the_compilers_own_words(compiler, kind, source, message) -> None:
    problem = compiler.problem(frames.Grammar(kind, source))
    assert problem is not None
    assert message in problem
    assert "/" not in problem
    assert ".cc" not in problem
