"""Expressions for texts: as they are, and as the contents of JSON strings."""

from __future__ import annotations

import json
from typing import Protocol

from inference_service.grammar import pattern
from inference_service.grammar.ebnf import (
    ALL,
    EMPTY,
    Ranges,
    Rules,
    chars,
    either,
    intersect,
    literal,
    one_of,
    optional,
    ranges,
    repeat,
    sequence,
    without,
)
from inference_service.grammar.problem import Problem

QUOTE = literal('"')
_ESCAPED = ranges((0, 0x1F), *chars('"\\'))  # what JSON doesn't take as it is
_PLAIN = without(ALL, _ESCAPED)
_HEX = "[0-9A-Fa-f]"
_MAX_KEY = 200
# A code of four digits is one of UTF-16: a character, or the first of two halves of one.
_UNICODE = (
    f'"u" ([0-9A-CEFa-cef] {_HEX} {_HEX} {_HEX} | [Dd] [0-7] {_HEX} {_HEX}'
    f' | [Dd] [89ABab] {_HEX} {_HEX} {literal(chr(92))} "u" [Dd] [C-Fc-f] {_HEX} {_HEX})'
)


class Alphabet(Protocol):
    """How characters are written."""

    def text(self, text: str) -> str:
        """Return an expression for a text."""
        ...

    def one_of(self, characters: Ranges) -> str:
        """Return an expression for any one of these characters."""
        ...


class Plain:
    """Characters as they are."""

    def text(self, text: str) -> str:
        """See `Alphabet`."""
        return literal(text)

    def one_of(self, characters: Ranges) -> str:
        """See `Alphabet`."""
        return one_of(characters)


class InString:
    """Characters as the contents of a JSON string have them.

    Those that have to be escaped are left out of sets with others: masks of sets are fast.
    """

    def text(self, text: str) -> str:
        """See `Alphabet`."""
        return literal(json.dumps(text, ensure_ascii=False)[1:-1])

    def one_of(self, characters: Ranges) -> str:
        """See `Alphabet`."""
        plain = intersect(characters, _PLAIN)
        if plain:
            return one_of(plain)
        escaped = intersect(characters, _ESCAPED)
        return either(self.text(chr(c)) for low, high in escaped for c in range(low, high + 1))


def expression(node: pattern.Node, alphabet: Alphabet, rules: Rules) -> str:
    """Return an expression for the texts that a regular expression's tree matches."""
    match node:
        case pattern.Chars(characters):
            text = _single(node)
            return alphabet.one_of(characters) if text is None else alphabet.text(text)
        case pattern.Sequence(items):
            return sequence([expression(item, alphabet, rules) for item in _joined(items)])
        case pattern.Text(text):
            return alphabet.text(text)
        case pattern.Either(items):
            return either(expression(item, alphabet, rules) for item in items)
        case pattern.Repeat(item, least, most):
            inner = expression(item, alphabet, rules)
            if (least, most) == (0, 1):
                return optional(inner)
            simple = isinstance(item, pattern.Chars) and inner.startswith("[")
            return repeat(inner if simple else f"({inner})", least, most)


def _single(node: pattern.Node) -> str | None:
    match node:
        case pattern.Chars(((low, high),)) if low == high:
            return chr(low)
    return None


def _joined(items: tuple[pattern.Node, ...]) -> list[pattern.Node]:
    """Return the items with characters in a row made one text."""
    joined: list[pattern.Node] = []
    for item in items:
        text = _single(item)
        if text is not None and joined and isinstance(joined[-1], pattern.Text):
            joined[-1] = pattern.Text(joined[-1].text + text)
        else:
            joined.append(item if text is None else pattern.Text(text))
    return joined


def any_string(rules: Rules, least: int = 0, most: int | None = None) -> str:
    """Return the name of a rule for a JSON string of so many characters."""
    if most is not None:  # the compiler's masks of a repeated set are fast, of an expression slow
        inside = repeat(one_of(_PLAIN), least, most)
        return rules.add("string", sequence([QUOTE, inside, QUOTE]))
    escape = f"{literal(chr(92))} ({one_of(chars('/' + chr(34) + chr(92)))} | [bfnrt] | {_UNICODE})"
    rest = rules.reserve_once("characters")
    rules.define(rest, f"{QUOTE} | {one_of(_PLAIN)} {rest} | {escape} {rest}")
    begin = repeat(one_of(_PLAIN), least, least) if least else EMPTY
    return rules.add("string", sequence([QUOTE, begin, rest]))


def key_other_than(keys: list[str], rules: Rules) -> str:
    """Return the name of a rule for a JSON string, without escapes, that is none of these.

    Raises:
        Problem: One of them is too long.

    """
    if any(len(key) > _MAX_KEY for key in keys):
        raise Problem(f"names of more than {_MAX_KEY} characters can't be told from others")
    return rules.add("key", sequence([QUOTE, _other(sorted(set(keys)), rules), QUOTE]))


def _other(keys: list[str], rules: Rules) -> str:
    if not keys:
        return repeat(one_of(_PLAIN), 0, None)
    children: dict[str, list[str]] = {}
    for key in keys:
        if key:
            children.setdefault(key[0], []).append(key[1:])
    others = without(_PLAIN, chars("".join(children)))
    parts = [] if "" in keys else [EMPTY]
    parts.append(sequence([one_of(others), _other([], rules)]))
    for first, rests in children.items():
        if intersect(chars(first), _PLAIN):  # others can't be written without an escape
            parts.append(sequence([literal(first), rules.add("key", _other(rests, rules))]))
    return either(parts)
