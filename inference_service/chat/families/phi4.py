"""Phi-4: an array of JSON objects, after `functools` or between `<|tool_call|>` tokens."""

from __future__ import annotations

from collections.abc import Sequence

from inference_service.chat.calls import call_array, call_object
from inference_service.chat.families.family import Family, Function, json_call, written
from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import Format, separated, tag, triggered
from inference_service.domain import ToolCall

_OPEN, _CLOSE = "<|tool_call|>", "<|/tool_call|>"
_WORD = "functools"
_MARKERS = Markers(_OPEN, f"{_WORD}[")


class Phi4(Family):
    """`functools[…]`, or `<|tool_call|>[…]<|/tool_call|>` of the mini models."""

    markers = (_OPEN, _CLOSE)

    @staticmethod
    def writes(template: str) -> bool:
        """Tell it by the word, or by the mini models' tokens around tools."""
        return _WORD in template or "<|/tool|>" in template or _CLOSE in template

    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read text, and calls after each marker."""
        while marker := (yield from scanner.text_until(_MARKERS, output.text)):
            scanner.keep()
            yield from scanner.accept(_OPEN if marker == _OPEN else _WORD)
            if marker == _OPEN:
                yield from scanner.skip_space()
            if (yield from scanner.peek()) == "[":
                begun = yield from call_array(scanner, output)
            else:
                begun = yield from call_object(scanner, output)
            if not begun:
                output.text(scanner.release())
            elif marker == _OPEN:
                yield from scanner.skip_space()
                yield from scanner.accept(_CLOSE)

    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give an array of calls in the form that the chat template shows."""
        in_tokens, after_word = _arrays(functions, several=several)
        return after_word if _WORD in self.template else in_tokens

    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give text in which either marker opens an array of calls."""
        tags = _arrays(functions, several=several)
        return triggered([_OPEN, f"{_WORD}["], tags, several=several)

    def history(self, calls: Sequence[ToolCall]) -> str:
        """Write past calls as the mini models do."""
        return f"{_OPEN}[{', '.join(map(written, calls))}]{_CLOSE}"


def _arrays(functions: Sequence[Function], *, several: bool) -> list[Format]:
    calls = separated([json_call(function) for function in functions], ", ", several=several)
    return [tag(f"{_OPEN}[", calls, f"]{_CLOSE}"), tag(f"{_WORD}[", calls, "]")]
