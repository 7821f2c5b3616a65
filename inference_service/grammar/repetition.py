"""Repetitions of repetitions, without the many ways in which they match the same text.

The grammar compiler follows all ways at once, and does it in the steps of the engine: `(a+ ?)+`
takes it longer with every character, and one more level takes seconds a token. What is written here
in fewer ways matches the same texts.
"""

from __future__ import annotations

from inference_service.grammar.pattern import Chars, Either, Node, Repeat, Sequence, Text


def plain(node: Node) -> Node:
    """Return a tree that matches the same, with no endless repetition of an endless repetition."""
    match node:
        case Sequence(items):
            return Sequence(tuple(plain(item) for item in items))
        case Either(items):
            return Either(tuple(plain(item) for item in items))
        case Repeat(item, least, most):
            return _repeat(plain(item), least, most)
    return node


def _repeat(item: Node, least: int, most: int | None) -> Repeat:
    if most is not None or least > 1:
        return Repeat(item, least, most)
    if _nullable(item):
        least = 0
    return Repeat(_once(item), least, None)


def _once(item: Node) -> Node:
    """Return what matches the same as the item when both are repeated without end.

    `(A Y+ B)+` is `(A Y B)+` if A and B may be empty, as each further Y may be one of the outer's.
    """
    match item:
        case Repeat(inner, 0 | 1, None):
            return _once(inner)
        case Either(items):
            return Either(tuple(_once(option) for option in items))
        case Sequence(items):
            needed = [place for place, part in enumerate(items) if not _nullable(part)]
            if len(needed) > 1:
                return item
            return Sequence(
                tuple(
                    _sole(part) if not needed or place == needed[0] else part
                    for place, part in enumerate(items)
                )
            )
    return item


def _sole(part: Node) -> Node:
    match part:
        case Repeat(inner, 0, None):
            return Repeat(inner, 0, 1)
        case Repeat(inner, 1, None):
            return _once(inner)
    return part


def _nullable(node: Node) -> bool:
    """Tell whether a node matches the empty text."""
    match node:
        case Chars():
            return False
        case Text(text):
            return not text
        case Sequence(items):
            return all(map(_nullable, items))
        case Either(items):
            return any(map(_nullable, items))
        case Repeat(item, least, _):
            return least == 0 or _nullable(item)
