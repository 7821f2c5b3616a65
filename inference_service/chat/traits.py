"""What a chat template makes use of.

Templates don't say what they take; so words are put where they may look, and it is seen which of
them come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Entry: TypeAlias = dict[str, Any]
Rendered: TypeAlias = Callable[[Sequence[Entry], Sequence[Entry] | None], str]

_WORD, _CALLED, _KEY = "quokka", "bilby", "wombat"
_TOOL = {
    "type": "function",
    "function": {
        "name": _WORD,
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    },
}


@dataclass(frozen=True, slots=True)
class Traits:
    """What a chat template makes use of.

    Attributes:
        tools: Where it looks for tools: in a variable, at the system message, or nowhere.
        calls: Whether it shows past calls.
        argument_text: Whether it takes their arguments as JSON text, not as an object.
        null_content: Whether it shows calls only of a message without content.
        system: Whether it shows system messages.
        developer: Whether it has a role for developers.
        parts: Whether it takes contents as lists of parts only, not as text.

    """

    tools: Literal["variable", "system", "nowhere"]
    calls: bool
    argument_text: bool
    null_content: bool
    system: bool
    developer: bool
    parts: bool


def probe(rendered: Rendered, source: str) -> Traits:
    """Find out what a template makes use of.

    Args:
        rendered: Renders messages and tools; gives an empty text where the template refuses.
        source: The template's.

    """
    parts = _WORD not in rendered([_say(_WORD)], None) and _WORD in rendered(
        [{"role": "user", "content": [{"type": "text", "text": _WORD}]}], None
    )
    user = _say("Hi", parts=parts)
    tools: Literal["variable", "system", "nowhere"] = "nowhere"
    if _WORD in rendered([user], [_TOOL]):
        tools = "variable"
    elif "tools" in source:
        system = {"role": "system", "content": "Hi", "tools": f'[{{"name": "{_WORD}"}}]'}
        if _WORD in rendered([system, user], None):
            tools = "system"
    told = [_TOOL] if tools == "variable" else None
    shown: dict[tuple[bool, bool], str] = {
        (text, null): rendered(_call(user, text=text, null=null), told)
        for null in (False, True)
        for text in (False, True)
    }
    exact = [way for way, prompt in shown.items() if f'"{_KEY}"' in prompt]
    named = [way for way, prompt in shown.items() if _CALLED in prompt]
    way = next(iter(exact + named), (False, False))
    return Traits(
        tools=tools,
        calls=bool(named),
        argument_text=way[0],
        null_content=way[1],
        system=_WORD in rendered([_say(_WORD, "system", parts=parts), user], None),
        developer="developer" in source,
        parts=parts,
    )


def _say(text: str, role: str = "user", *, parts: bool = False) -> Entry:
    return {"role": role, "content": [{"type": "text", "text": text}] if parts else text}


def _call(user: Entry, *, text: bool, null: bool) -> list[Entry]:
    arguments = f'{{"{_KEY}": 1}}' if text else {_KEY: 1}
    function = {"name": _CALLED, "arguments": arguments}
    call = {"id": "abcdef123", "type": "function", "function": function}
    return [
        user,
        {"role": "assistant", "content": None if null else "", "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "abcdef123", "name": "result"},
    ]
