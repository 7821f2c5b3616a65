"""Mistral: `[TOOL_CALLS]`, then an array of JSON objects, or names with arguments.

The array is that of the tokenizers up to v7; from v11 on it is `[TOOL_CALLS]name[ARGS]{…}` for each
call, or without `[ARGS]`. See https://github.com/mistralai/mistral-common.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from inference_service.chat.calls import call_array, call_object
from inference_service.chat.families.family import Family, Function, json_call
from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import Format, schema, separated, tag, triggered
from inference_service.domain import is_function_name

_OPEN, _ID, _ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
_MARKERS = Markers(_OPEN)
_NAME = re.compile(r"[\w.\-]*")


class Mistral(Family):
    """`[TOOL_CALLS]` and calls, in either form."""

    markers = (_OPEN, _ID, _ARGUMENTS)

    @staticmethod
    def writes(template: str) -> bool:
        """Tell it by the token before calls."""
        return _OPEN in template

    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read text, and calls after each token."""
        while (yield from scanner.text_until(_MARKERS, output.text)):
            scanner.keep()
            yield from scanner.accept(_OPEN)
            yield from scanner.skip_space()
            match (yield from scanner.peek()):
                case "[":
                    begun = yield from call_array(scanner, output)
                case "{":
                    begun = yield from call_object(scanner, output)
                case _:
                    begun = yield from _named_call(scanner, output)
            if not begun:
                output.text(scanner.release())

    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give the calls in the form that the chat template shows."""
        if _ARGUMENTS in self.template:
            return separated(_named(functions), "", several=several)
        return _array(functions, several=several)

    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give text in which the token opens a call."""
        if _ARGUMENTS in self.template:
            return triggered([_OPEN], _named(functions), several=several)
        return triggered([_OPEN], [_array(functions, several=several)], several=several)

    def call_id(self, identity: str) -> str:
        """Give nine letters and digits: the templates refuse all else."""
        if re.fullmatch(r"[a-zA-Z0-9]{9}", identity):
            return identity
        return hashlib.sha256(identity.encode()).hexdigest()[:9]


def _named_call(scanner: Scanner, output: Output) -> Steps[bool]:
    name = yield from scanner.run(_NAME)
    if (yield from scanner.accept(_ID)):
        yield from scanner.run(_NAME)
    yield from scanner.accept(_ARGUMENTS)
    yield from scanner.skip_space()
    if not is_function_name(name) or (yield from scanner.peek()) != "{":
        return False
    scanner.forget()
    output.call(name)
    yield from scanner.json_value(output.arguments)
    return True


def _named(functions: Sequence[Function]) -> list[Format]:
    return [
        tag(f"{_OPEN}{function.name}{_ARGUMENTS}", schema(function.parameters), "")
        for function in functions
    ]


def _array(functions: Sequence[Function], *, several: bool) -> Format:
    calls = separated([json_call(function) for function in functions], ", ", several=several)
    return tag(f"{_OPEN}[", calls, "]")
