"""Llama 3.1 to 3.3: an answer that is JSON, `{"name": …, "parameters": …}`.

See https://github.com/meta-llama/llama-models, models/llama3_1/prompt_format.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference_service.chat.calls import call_object
from inference_service.chat.families.family import Family, Function, json_call
from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import (
    Format,
    constant,
    either,
    regex,
    separated,
    sequence,
    triggered,
)

_TAG = "<|python_tag|>"
_MARKERS = Markers(_TAG)


class Llama3(Family):
    """JSON objects at the beginning of the answer, or after `<|python_tag|>`."""

    markers = (_TAG,)
    one_call = True

    @staticmethod
    def writes(template: str) -> bool:
        """Tell it by the header tokens and what the template asks of the model."""
        return "<|start_header_id|>" in template and '"parameters": ' in template

    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read calls at the beginning or after the tag, one after the other; the rest is text."""
        scanner.keep()
        marked = False
        while True:
            yield from scanner.skip_space()
            if (yield from scanner.peek()) == "{" and (
                yield from call_object(scanner, output, marked=False)
            ):
                yield from scanner.skip_space()
                yield from scanner.accept(";")
                scanner.keep()
                marked = True
                yield from scanner.skip_space()
                if (yield from scanner.peek()) == "{":
                    continue
            output.text(scanner.release(marked=marked))
            if not (yield from scanner.text_until(_MARKERS, output.text)):
                return
            scanner.keep()
            marked = True
            yield from scanner.accept(_TAG)

    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give the calls, a semicolon apart."""
        tags = [json_call(function, key="parameters") for function in functions]
        return separated(tags, "; ", several=several)

    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give calls, or text that doesn't begin as one, in which the tag opens one call."""
        calls = self.calls(functions, several=several)
        tagged = [json_call(function, _TAG, key="parameters") for function in functions]
        text = sequence(regex(r"[^{< \t\n\r]|<[^|]"), triggered([_TAG], tagged, several=False))
        return either(calls, sequence(constant(_TAG), calls), text)
