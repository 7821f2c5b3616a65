"""Hermes 2 Pro, Qwen 2.5, Qwen 3 and many more: JSON objects between `<tool_call>` tags.

Also the form in which tools are told to models whose chat template knows of none.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference_service.chat.calls import call_object
from inference_service.chat.families.family import Family, Function, json_call
from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import Format, separated, triggered

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_MARKERS = Markers(_OPEN)


class Hermes(Family):
    """`<tool_call>`, a JSON object, `</tool_call>`, for each call."""

    markers = (_OPEN, _CLOSE)

    @staticmethod
    def writes(template: str) -> bool:
        """Tell it by the tag, but not Qwen3-Coder and GLM, which have other contents in it."""
        others = ("<function=", "<arg_key>")
        return _OPEN in template and not any(other in template for other in others)

    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read text and calls in any order."""
        while (yield from scanner.text_until(_MARKERS, output.text)):
            scanner.keep()
            yield from scanner.accept(_OPEN)
            yield from scanner.skip_space()
            if not (yield from call_object(scanner, output)):
                output.text(scanner.release())
                continue
            yield from scanner.skip_space()
            while (yield from scanner.accept("}")):  # one too many, a common slip
                yield from scanner.skip_space()
            while (yield from scanner.peek()) == "{":
                scanner.keep()
                if not (yield from call_object(scanner, output)):
                    output.text(scanner.release())
                yield from scanner.skip_space()
            yield from scanner.accept(_CLOSE)

    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give the calls, a line apart."""
        return separated(_tags(functions), "\n", several=several)

    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give text in which the tag opens a call."""
        return triggered([_OPEN], _tags(functions), several=several)


def _tags(functions: Sequence[Function]) -> list[Format]:
    return [json_call(function, f"{_OPEN}\n", f"\n{_CLOSE}") for function in functions]
