"""JSON Schemas as grammars: what a schema forbids, the grammar forbids, or the schema is refused.

The grammar compiler has a converter of its own, which ignores many keywords and gets others wrong;
docs/adr/0010-own-schema-grammar.md has the list. A grammar may allow less than its schema: the
properties come in the schema's order, and numbers and whitespace are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from inference_service.grammar import document, keywords, pattern, text
from inference_service.grammar.alternatives import finite_references, overlap, reaches
from inference_service.grammar.containers import Member, array_of, object_of
from inference_service.grammar.ebnf import Rules, either, literal, sequence
from inference_service.grammar.formats import FORMATS, REFUSED
from inference_service.grammar.numbers import Bounds, Unwritable
from inference_service.grammar.problem import Problem
from inference_service.grammar.repetition import plain

Path: TypeAlias = tuple[str | int, ...]
_MAX_REFERENCES = 512  # to different places


def schema_grammar(source: str | Mapping[str, Any]) -> str:
    """Return the grammar of the JSON that a schema describes.

    Raises:
        Problem: It is no JSON Schema, or something in it can't be enforced.

    """
    converter = _Converter(document.parse(source))
    return converter.grammar()


class _Converter:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._rules = Rules()
        self._references = {"#": self._rules.reserve("root")}
        self._targets: dict[str, Any] = {"#": root}
        self._pending: list[str] = ["#"]
        self._value: str | None = None

    def grammar(self) -> str:
        # Not by recursion: schemas may refer to each other in long chains.
        while self._pending:
            reference = self._pending.pop()
            path: Path = (reference,)
            body = self._expression(self._targets[reference], path)
            self._rules.define(self._references[reference], body)
        finite = finite_references(self._targets)
        for reference in self._targets:
            if reference not in finite:
                raise Problem("no finite value can match it", reference)
        return self._rules.text()

    def _expression(self, schema: Any, path: Path) -> str:
        if schema is True:
            schema = {}
        if schema is False:
            raise Problem("nothing can match it", _pointer(path))
        if not isinstance(schema, dict):
            raise Problem("is no schema: neither an object nor a boolean", _pointer(path))
        try:
            found = keywords.constraining(schema, root=path == ("#",))
            whole = next((word for word in keywords.WHOLE if word in found), None)
            if whole in ("const", "enum"):
                return self._values(found)
            if whole == "$ref":
                return self._reference(found["$ref"])
            if whole is not None:
                return self._alternatives(found, whole, path)
            if not found:
                return self._any()
            return either(self._typed(name, found, path) for name in keywords.types(found))
        except Problem as problem:
            if problem.pointer:
                raise
            raise Problem(str(problem), _pointer(path)) from problem

    def _reference(self, reference: Any) -> str:
        if not isinstance(reference, str):
            raise Problem("$ref is no text")
        if reference not in self._references:
            if len(self._references) > _MAX_REFERENCES:
                raise Problem(f"there are more than {_MAX_REFERENCES} references")
            self._targets[reference] = document.resolve(self._root, reference)
            if reaches(self._root, self._targets[reference], reference):
                raise Problem(f"$ref to {reference!r} leads back to itself")
            self._references[reference] = self._rules.reserve("definition")
            self._pending.append(reference)
        elif reference == "#" and reaches(self._root, self._root, reference):
            raise Problem("$ref to '#' leads back to itself")
        return self._references[reference]

    def _values(self, found: Mapping[str, Any]) -> str:
        values = [found["const"]] if "const" in found else keywords.list_of(found, "enum")
        if "type" in found:
            named = keywords.types(found)
            values = [value for value in values if any(_is(value, name) for name in named)]
            if not values:
                raise Problem("type allows none of its values")
        return either(
            literal(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
            for value in values
        )

    def _alternatives(self, found: Mapping[str, Any], word: str, path: Path) -> str:
        options = keywords.list_of(found, word)
        if word == "allOf" and len(options) > 1:
            raise Problem("allOf of several can't be enforced")
        if word == "oneOf":
            pair = overlap(self._root, options)
            if pair is not None:
                raise Problem(
                    f"oneOf can't be enforced: {pair[0]} and {pair[1]} may match the same value;"
                    " anyOf can"
                )
        return either(
            self._expression(option, (*path, word, place)) for place, option in enumerate(options)
        )

    def _any(self) -> str:
        if self._value is None:
            self._value = self._rules.reserve("value")
            kinds = [self._typed(name, {}, ()) for name in keywords.TYPES if name != "integer"]
            self._rules.define(self._value, either(kinds))
        return self._value

    def _typed(self, name: str, found: Mapping[str, Any], path: Path) -> str:
        match name:
            case "object":
                return self._object(found, path)
            case "array":
                return self._array(found, path)
            case "string":
                return self._string(found)
            case "boolean":
                return '("true" | "false")'
            case "null":
                return '"null"'
        return self._number(found, integer=name == "integer")

    def _object(self, found: Mapping[str, Any], path: Path) -> str:
        properties = found.get("properties", {})
        required = found.get("required", [])
        if not isinstance(properties, dict):
            raise Problem("properties is no object")
        if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
            raise Problem("required is no list of names")
        # Unset allows others; but a model is asked for the ones that are described.
        open_ended = found.get("additionalProperties", not (properties or required))
        members = [
            Member(key, self._expression(value, (*path, "properties", key)), key in required)
            for key, value in properties.items()
            if value is not False or key in required
        ]
        inner = (*path, "additionalProperties")
        others = [key for key in dict.fromkeys(required) if key not in properties]
        if others and found.get("additionalProperties") is False:
            raise Problem(f"required names {others[0]!r}, which is not allowed")
        for key in others:
            value = found.get("additionalProperties", True)
            members.append(Member(key, self._expression(value, inner), required=True))
        additional = None
        if open_ended is not False:
            keys = [*properties, *others]
            name = text.key_other_than(keys, self._rules) if keys else text.any_string(self._rules)
            additional = (name, self._expression(open_ended, inner))
        return object_of(members, additional, self._rules)

    def _array(self, found: Mapping[str, Any], path: Path) -> str:
        items = found.get("items", True)
        if isinstance(items, list):
            raise Problem("items is a list; prefixItems takes one")
        prefix = keywords.list_of(found, "prefixItems") if "prefixItems" in found else []
        least, most = keywords.counts(found, "minItems", "maxItems")
        if items is False:
            if least > len(prefix):
                raise Problem("minItems is more than there can be")
            most = len(prefix) if most is None else min(most, len(prefix))
        firsts = [
            self._expression(schema, (*path, "prefixItems", place))
            for place, schema in enumerate(prefix)
        ]
        further = None if items is False else self._expression(items, (*path, "items"))
        return array_of(firsts, further, least, most, self._rules)

    def _string(self, found: Mapping[str, Any]) -> str:
        words = [word for word in keywords.OF_TYPE["string"] if word in found]
        if found.get("format") not in FORMATS:
            if not isinstance(found.get("format", ""), str):
                raise Problem("format is no text")
            if found.get("format") in REFUSED:
                raise Problem(f"format {found['format']!r} can't be enforced")
            words = [word for word in words if word != "format"]
        least, most = keywords.counts(found, "minLength", "maxLength")
        source = next((found[word] for word in ("pattern", "format") if word in words), None)
        if source is None:
            return text.any_string(self._rules, least, most)
        if len(words) > 1:
            raise Problem(f"{words[0]} can't be enforced beside {words[1]}")
        if not isinstance(source, str):
            raise Problem(f"{words[0]} is no text")
        tree = plain(pattern.parse(FORMATS[source] if words[0] == "format" else source))
        inside = text.expression(tree, text.InString(), self._rules)
        return self._rules.add("string", sequence([text.QUOTE, inside, text.QUOTE]))

    def _number(self, found: Mapping[str, Any], *, integer: bool) -> str:
        step = found.get("multipleOf", 1 if integer else None)
        if step is not None and (isinstance(step, bool) or step != 1):
            raise Problem("multipleOf can't be enforced, but for 1")
        bounds = Bounds(integer=integer or step == 1)
        for word in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
            if word not in found:
                continue
            if isinstance(found[word], bool) or not isinstance(found[word], int | float):
                raise Problem(f"{word} is no number")
            strict = word.startswith("exclusive")
            value = Decimal(repr(found[word]))
            tighten = bounds.above if word.endswith("inimum") else bounds.below
            bounds = tighten(value, strict=strict)
        try:
            expression = bounds.expression()
        except Unwritable as error:
            raise Problem("a bound has too many digits") from error
        if expression is None:
            raise Problem("no number is within its bounds")
        return self._rules.add("number", expression)


def _is(value: Any, name: str) -> bool:
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "array": list, "object": dict}[name])


def _pointer(path: Path) -> str:
    return str(path[0]) + document.pointer(*path[1:])[1:] if path else "#"
