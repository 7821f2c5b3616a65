"""Structural tags: the grammar compiler's words for text with forms in it.

The format is that of xgrammar 0.1.31 (https://xgrammar.mlc.ai/docs/tutorials/structural_tag.html).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from inference_service.domain import Grammar

Format: TypeAlias = dict[str, Any]


def schema(json_schema: Mapping[str, Any]) -> Format:
    """JSON that matches a schema."""
    return {"type": "json_schema", "json_schema": dict(json_schema)}


def constant(text: str) -> Format:
    """This text."""
    return {"type": "const_string", "value": text}


def regex(pattern: str) -> Format:
    """Text that matches a regular expression."""
    return {"type": "regex", "pattern": pattern}


def any_text(*excludes: str) -> Format:
    """Any text without these in it."""
    return {"type": "any_text", "excludes": list(excludes)}


def tag(begin: str, content: Format, end: str) -> Format:
    """A form between two texts."""
    return {"type": "tag", "begin": begin, "content": content, "end": end}


def sequence(*elements: Format) -> Format:
    """Forms one after the other."""
    return {"type": "sequence", "elements": list(elements)}


def either(*elements: Format) -> Format:
    """One of these forms.

    The compiler wants them all of one sort, with an end of their own or without; so where some are
    without, the others are given as lists of one.
    """
    if any(map(_is_open, elements)):
        elements = tuple(
            form if _is_open(form) else separated([tag("", form, "")], "", several=False)
            for form in elements
        )
    return {"type": "or", "elements": list(elements)}


def _is_open(form: Format) -> bool:
    """Tell whether the compiler sees no end to a form."""
    match form["type"]:
        case "any_text" | "triggered_tags" | "tags_with_separator":
            return True
        case "sequence":
            return _is_open(form["elements"][-1])
        case "or":
            return any(map(_is_open, form["elements"]))
    return False


def separated(tags: Sequence[Format], separator: str, *, several: bool) -> Format:
    """One of these tags, or several."""
    return {
        "type": "tags_with_separator",
        "tags": list(tags),
        "separator": separator,
        "at_least_one": True,
        "stop_after_first": not several,
    }


def triggered(triggers: Sequence[str], tags: Sequence[Format], *, several: bool) -> Format:
    """Any text, in which each trigger begins one of these tags."""
    return {
        "type": "triggered_tags",
        "triggers": list(triggers),
        "tags": list(tags),
        "at_least_one": False,
        "stop_after_first": not several,
    }


def to_format(grammar: Grammar) -> Format:
    """Turn a grammar into a part of a structural tag."""
    match grammar.kind:
        case "json_schema":
            return {"type": "json_schema", "json_schema": json.loads(grammar.source)}
        case "regex":
            return regex(grammar.source)
        case "ebnf":
            return {"type": "grammar", "grammar": grammar.source}
        case "structural_tag":
            inner: Format = json.loads(grammar.source)["format"]
            return inner


def to_grammar(form: Format, field: str) -> Grammar:
    """Turn a form into a grammar for the engine; `field` is the request's, for errors."""
    source = json.dumps({"type": "structural_tag", "format": form}, ensure_ascii=False)
    return Grammar("structural_tag", source, field)
