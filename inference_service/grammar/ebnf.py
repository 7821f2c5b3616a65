"""Text of grammars in the grammar compiler's EBNF: literals, sets of characters, rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""A set of characters: ranges of code points, both ends included, ascending and apart."""

EMPTY = '""'
_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)  # no characters: UTF-8 has no bytes for them
ALL: Ranges = ((0, _SURROGATES[0] - 1), (_SURROGATES[1] + 1, _LAST))


def ranges(*parts: tuple[int, int]) -> Ranges:
    """Return the set of all characters in any of the parts."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(parts):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def chars(text: str) -> Ranges:
    """Return the set of the characters of a text."""
    return ranges(*((ord(c), ord(c)) for c in text))


def intersect(one: Ranges, other: Ranges) -> Ranges:
    """Return the characters that are in both."""
    both = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return tuple(sorted((low, high) for low, high in both if low <= high))


def without(one: Ranges, other: Ranges) -> Ranges:
    """Return the characters of one set that are not in the other."""
    start, rest = 0, []
    for low, high in other:
        if start < low:
            rest.append((start, low - 1))
        start = high + 1
    rest.append((start, _LAST))
    return intersect(one, tuple(rest))


def literal(text: str) -> str:
    """Return an expression that is this text."""
    return '"' + "".join(_escaped(ord(c)) for c in text) + '"'


def one_of(characters: Ranges) -> str:
    """Return an expression that is any one of these characters; there is at least one."""
    parts = (
        _escaped(low) if low == high else f"{_escaped(low)}-{_escaped(high)}"
        for low, high in characters
    )
    return "[" + "".join(parts) + "]"


def either(expressions: Iterable[str]) -> str:
    """Return an expression that is any of these, in parentheses where there are several."""
    unique = list(dict.fromkeys(expressions))
    return unique[0] if len(unique) == 1 else "(" + " | ".join(unique) + ")"


def optional(expression: str) -> str:
    """Return an expression that is this one or nothing."""
    return EMPTY if expression == EMPTY else f"({expression})?"


def sequence(expressions: Sequence[str]) -> str:
    """Return an expression that is all of these, one after another."""
    return " ".join(e for e in expressions if e != EMPTY) or EMPTY


def repeat(expression: str, least: int, most: int | None) -> str:
    """Return an expression that is this one again and again.

    Args:
        expression: A rule's name, a set of characters, or anything in parentheses.
        least: How often at least.
        most: How often at most; `None` for any number.

    """
    if most == 0 or expression == EMPTY:
        return EMPTY
    if (least, most) == (1, 1):
        return expression
    if (least, most) == (0, None):
        return f"{expression}*"
    return f"{expression}{{{least},{'' if most is None else most}}}"


class Rules:
    """The rules of a grammar, each with a name of its own; those with equal bodies are one."""

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, hint: str, body: str) -> str:
        """Add a rule and return its name, which begins with `hint`."""
        if body not in self._names:
            name = self.reserve(hint)
            self.define(name, body)
            self._names[body] = name
        return self._names[body]

    def reserve(self, hint: str) -> str:
        """Return a name to be defined later, so that its body can refer to it."""
        name = hint if hint not in self._bodies else f"{hint}-{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def reserve_once(self, name: str) -> str:
        """Return a name that stands for the same rule wherever it is asked for."""
        self._bodies.setdefault(name, "")
        return name

    def define(self, name: str, body: str) -> None:
        """Give a reserved name its body."""
        self._bodies[name] = body

    def text(self) -> str:
        """Return the grammar; its first rule is `root`."""
        return "".join(f"{name} ::= {body}\n" for name, body in self._bodies.items())


def _escaped(code: int) -> str:
    character = chr(code)
    if character.isascii() and (character.isalnum() or character in " _:,<>=/"):
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
