"""Repetitions of repetitions."""

from __future__ import annotations

import itertools
import re

import pytest

from inference_service.grammar.pattern import Chars, Either, Node, Repeat, Sequence, Text, parse
from inference_service.grammar.repetition import plain


def as_regex(node: Node) -> str:
    match node:
        case Chars(characters):
            ends = (f"\\U{low:08x}-\\U{high:08x}" for low, high in characters)
            return f"[{''.join(ends)}]"
        case Text(text):
            return re.escape(text)
        case Sequence(items):
            return "".join(map(as_regex, items))
        case Either(items):
            return f"(?:{'|'.join(map(as_regex, items))})"
        case Repeat(item, least, most):
            return f"(?:{as_regex(item)}){{{least},{'' if most is None else most}}}"


def depth(node: Node) -> int:
    """Count the endless repetitions within each other."""
    match node:
        case Sequence(items) | Either(items):
            return max(map(depth, items), default=0)
        case Repeat(item, _, most):
            return depth(item) + (most is None)
    return 0


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("(a+)+", 1),
        ("((a*)*)*", 1),
        ("(a+b?)+", 1),
        ("(((a+b?)+b?)+b?)+", 1),
        ("(b?a*c?)*", 1),
        ("(b*a+c*)+", 2),
        ("(b*a*c*)+", 1),
        ("(a+|b*|c)+", 1),
        ("(a+b)+", 2),
        ("(a+b+)+", 2),
        ("((a+b)*a+c)*", 3),
        ("(a{2,}b?)+", 2),
        ("(a+b?){2,}", 2),
        ("(a+b?){0,2}", 1),
        ("((a|bc)+)*", 1),
        ("((a+b)?c*)+", 2),
    ],
)
def test_the_same_texts_in_fewer_ways(source: str, left: int) -> None:
    tree = plain(parse(source))
    assert depth(tree) == left
    before, after = re.compile(source), re.compile(as_regex(tree))
    for length in range(7):
        for letters in itertools.product("abc", repeat=length):
            text = "".join(letters)
            assert bool(before.fullmatch(text)) == bool(after.fullmatch(text)), text
