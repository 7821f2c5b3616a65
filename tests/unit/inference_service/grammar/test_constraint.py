"""Constraints and structural tags as grammars."""

from __future__ import annotations

import json

import pytest

from inference_service.domain import Constraint, Grammar
from inference_service.errors import InvalidArgument
from inference_service.grammar import enforceable, grammar_of


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint("json_schema", '{"type": "object"}'),
        Constraint("json_object"),
        Constraint("regex", "[a-z]+"),
        Constraint("choices", choices=("a", "b")),
        Constraint("grammar", 'root ::= "a"'),
    ],
)
def test_each_kind_is_a_grammar_with_its_field(constraint: Constraint) -> None:
    grammar = grammar_of(constraint)
    assert grammar.kind == "ebnf"
    assert grammar.source.startswith("root ::=")
    assert grammar.field == f"constraint.{constraint.kind}"
    assert enforceable(grammar) == grammar


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Constraint("choices"), "has no texts"),
        (Constraint("choices", choices=("a", "")), "one that is empty"),
        (Constraint("choices", choices=("a",) * 5000), "more than 4096"),
        (Constraint("grammar", "x" * (129 << 10)), "longer than"),
        (Constraint("regex", "[a-z"), "not closed"),
        (Constraint("json_schema", "{"), "is not JSON"),
    ],
)
def test_refused_with_its_field(constraint: Constraint, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as refused:
        grammar_of(constraint)
    assert refused.value.metadata["field"] == f"constraint.{constraint.kind}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(?=a)", "look-around"),
        ("(?<!a)", "look-around"),
        ("(?i)a", "flag"),
        (r"(a)\1", r"\\1"),
        (r"\bword", r"\\b"),
        (r"\p{L}", r"\\p"),
        ("a^b", r"a \^ that is not at its beginning"),
        ("a$b", r"something after a \$"),
        ("(a$)+", "repetition of an anchor"),
        ("*a", "repeats nothing"),
        ("a**", "repetition of a repetition"),
        ("a{3,2}", "least is more"),
        ("a{99999}", "more than 65536 times"),
        ("a{" + "9" * 5000 + "}", "more than 100 digits"),
        ("a{1," + "9" * 5000 + "}", "more than 100 digits"),
        ("(a", "not closed"),
        ("a)", "closes nothing"),
        ("[]", "empty class"),
        ("[z-a]", "no characters in order"),
        ("[[:alpha:]]", "named class"),
        ("a\\", r"a \\ at its end"),
        (r"\x4", "without its digits"),
        (r"\ud800", "no character"),
        ("(" * 40 + ")" * 40, "groups within each other"),
    ],
)
def test_expressions_that_a_grammar_cannot_do(source: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        grammar_of(Constraint("regex", source))


def test_schemas_within_a_structural_tag_become_grammars() -> None:
    schema = {"type": "json_schema", "json_schema": {"type": "integer"}}
    tag = {"type": "structural_tag", "format": {"type": "sequence", "elements": [schema]}}
    made = json.loads(enforceable(Grammar("structural_tag", json.dumps(tag), "f")).source)
    (element,) = made["format"]["elements"]
    assert element["type"] == "grammar"
    assert element["grammar"].startswith("root ::=")


def test_what_cannot_be_enforced_within_a_structural_tag_is_refused() -> None:
    schema = {"type": "json_schema", "json_schema": {"not": {}}}
    tag = {"type": "structural_tag", "format": schema}
    with pytest.raises(InvalidArgument, match="f: #: not can't be enforced"):
        enforceable(Grammar("structural_tag", json.dumps(tag), "f"))
