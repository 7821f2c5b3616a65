"""From what a request asks for to a grammar for the engine."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from inference_service.domain import Constraint, Grammar
from inference_service.errors import InvalidArgument
from inference_service.grammar import derivation, gbnf, pattern, text
from inference_service.grammar.ebnf import Rules, either, literal
from inference_service.grammar.problem import Problem
from inference_service.grammar.repetition import plain
from inference_service.grammar.schema import schema_grammar

_MAX_BYTES = 128 << 10
_MAX_CHOICES = 4096


def grammar_of(constraint: Constraint) -> Grammar:
    """Return the grammar of what a constraint allows.

    Raises:
        InvalidArgument: The constraint is malformed, or something in it can't be enforced.

    """
    field = f"constraint.{constraint.kind}"
    try:
        return Grammar("ebnf", _source(constraint), field)
    except Problem as problem:
        raise InvalidArgument(field, str(problem)) from problem


def check_schema(schema: str | Mapping[str, Any], field: str) -> None:
    """Return if a JSON Schema can be enforced.

    Raises:
        InvalidArgument: It can't; the message names what and where.

    """
    _schema_grammar(schema, field)


def enforceable(grammar: Grammar) -> Grammar:
    """Return a grammar that enforces all of its JSON Schemas and regular expressions.

    A structural tag's schemas become grammars within it.

    Raises:
        InvalidArgument: Something can't be enforced.

    """
    match grammar.kind:
        case "json_schema":
            return Grammar("ebnf", _schema_grammar(grammar.source, grammar.field), grammar.field)
        case "regex":
            try:
                return Grammar("ebnf", _regex(grammar.source), grammar.field)
            except Problem as problem:
                raise InvalidArgument(grammar.field, str(problem)) from problem
        case "structural_tag":
            tag = _rewritten(json.loads(grammar.source), grammar.field)
            return Grammar("structural_tag", json.dumps(tag), grammar.field)
    return grammar


def _rewritten(part: Any, field: str) -> Any:
    if isinstance(part, list):
        return [_rewritten(inner, field) for inner in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "json_schema":
        return {"type": "grammar", "grammar": _schema_grammar(part["json_schema"], field)}
    return {key: _rewritten(inner, field) for key, inner in part.items()}


def _schema_grammar(schema: str | Mapping[str, Any] | bool, field: str) -> str:
    try:
        written = schema if isinstance(schema, str) else json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(field, "is not JSON") from error
    try:
        return _converted(written)
    except Problem as problem:
        raise InvalidArgument(field, str(problem)) from problem


@functools.lru_cache(maxsize=64)
def _converted(schema: str) -> str:
    return schema_grammar(schema)


def _source(constraint: Constraint) -> str:
    match constraint.kind:
        case "json_schema":
            return _converted(constraint.source)
        case "json_object":
            return _converted('{"type": "object"}')
        case "regex":
            return _regex(constraint.source)
        case "choices":
            return _choices(constraint.choices)
        case "grammar":
            _check_size(constraint.source)
            derivation.check(gbnf.parse(constraint.source))
            return constraint.source


def _regex(source: str) -> str:
    _check_size(source)
    rules = Rules()
    root = rules.reserve("root")
    rules.define(root, text.expression(plain(pattern.parse(source)), text.Plain(), rules))
    return rules.text()


def _choices(choices: tuple[str, ...]) -> str:
    if not choices or not all(choices):
        raise Problem("has no texts, or one that is empty")
    if len(choices) > _MAX_CHOICES:
        raise Problem(f"has more than {_MAX_CHOICES} texts")
    for choice in choices:
        _check_size(choice)
    rules = Rules()
    rules.define(rules.reserve("root"), either(literal(choice) for choice in choices))
    return rules.text()


def _check_size(source: str) -> None:
    if len(source.encode(errors="surrogatepass")) > _MAX_BYTES:
        raise Problem(f"is longer than {_MAX_BYTES} bytes")
