"""Grammars of JSON objects and arrays, from those of what is in them.

Whitespace is bounded: a space, or a line's end and an indent, after an opening bracket, a comma or
a colon, and before a closing bracket. A model that is free to write whitespace may not end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from inference_service.grammar.ebnf import (
    EMPTY,
    Rules,
    either,
    literal,
    optional,
    repeat,
    sequence,
)

_INDENT = 32  # characters at most


@dataclass(frozen=True, slots=True)
class Member:
    """A property of an object: its name, an expression for its value, whether it has to be."""

    key: str
    value: str
    required: bool


def space(rules: Rules) -> str:
    """Return the name of a rule for the whitespace that is allowed."""
    return rules.add("space", f'(" " | "\\n" [ \\t]{{0,{_INDENT}}})?')


def object_of(members: Sequence[Member], additional: tuple[str, str] | None, rules: Rules) -> str:
    """Return the name of a rule for an object.

    Args:
        members: Its properties, which come in this order.
        additional: Expressions for the names and the values of others, after these; `None`: none.
        rules: Where rules are added.

    """
    blank = space(rules)
    comma = sequence(['","', blank])
    first = rest = EMPTY
    if additional:
        pair = rules.add("pair", sequence([additional[0], '":"', blank, additional[1]]))
        rest = repeat(rules.add("more", sequence([comma, pair])), 0, None)
        first = optional(sequence([pair, rest]))
    for member in reversed(members):
        key = literal(json.dumps(member.key, ensure_ascii=False) + ":")
        pair = sequence([key, blank, member.value])
        here, after = sequence([pair, rest]), sequence([comma, pair, rest])
        if not member.required:
            here, after = either([here, first]), either([after, rest])
        first, rest = rules.add("first", here), rules.add("rest", after)
    return rules.add("object", sequence(['"{"', blank, first, blank, '"}"']))


def array_of(
    prefix: Sequence[str], item: str | None, least: int, most: int | None, rules: Rules
) -> str:
    """Return the name of a rule for an array.

    Args:
        prefix: Expressions for its first items.
        item: An expression for each item after those; `None`: there are none.
        least: How many items there are at least; no more than there can be.
        most: How many at most; `None` for any number.
        rules: Where rules are added.

    """
    blank = space(rules)
    comma = sequence(['","', blank])
    if most is not None:
        prefix = prefix[:most]
    items = EMPTY
    count = len(prefix)
    if item is not None and (most is None or most > count):
        if count == 0:
            further = rules.add("item", sequence([comma, item]))
            limit = None if most is None else most - 1
            items = sequence([item, repeat(further, max(0, least - 1), limit)])
            items = optional(items) if least == 0 else items
        else:
            further = rules.add("item", sequence([comma, item]))
            limit = None if most is None else most - count
            items = repeat(further, max(0, least - count), limit)
    for place in range(count - 1, -1, -1):
        before = [comma] if place else []
        items = sequence([*before, prefix[place], items])
        items = rules.add("items", optional(items) if place >= least else items)
    return rules.add("array", sequence(['"["', blank, items, blank, '"]"']))
