"""DeepSeek V3, R1 and V3.1: calls between tokens of their own.

V3 and R1 write `function`, a separator, the name and fenced JSON; V3.1 the name, a separator and
JSON. See the chat templates of https://huggingface.co/deepseek-ai.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from inference_service.chat.families.family import Family, Function
from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import Format, schema, separated, tag, triggered
from inference_service.domain import is_function_name

_OPEN, _CLOSE = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"  # noqa: RUF001
_CALL, _SEPARATOR, _END = (
    "<｜tool▁call▁begin｜>",  # noqa: RUF001
    "<｜tool▁sep｜>",  # noqa: RUF001
    "<｜tool▁call▁end｜>",  # noqa: RUF001
)
_MARKERS = Markers(_OPEN, _CALL)
_HEAD = re.compile(r"[^<\n]*")
_NAME = re.compile(r"[^\n`{<]*")


class DeepSeek(Family):
    """Calls between `<｜tool▁call▁begin｜>` and `<｜tool▁call▁end｜>`."""  # noqa: RUF002

    markers = (_OPEN, _CALL, _SEPARATOR, _END, _CLOSE)

    @staticmethod
    def writes(template: str) -> bool:
        """Tell it by the token before calls."""
        return _OPEN in template

    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read text, and a call after each token; the tokens around all calls are optional."""
        while marker := (yield from scanner.text_until(_MARKERS, output.text)):
            scanner.keep()
            yield from scanner.accept(marker)
            if marker == _OPEN:
                yield from scanner.skip_space()
                yield from scanner.accept(_CALL)
            if not (yield from _call(scanner, output)):
                output.text(scanner.release())
                continue
            yield from scanner.skip_space()
            yield from scanner.accept(_END)
            yield from scanner.skip_space()
            yield from scanner.accept(_CLOSE)

    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give the calls, in the form that the chat template shows."""
        tags = [self._tag(function) for function in functions]
        return tag(_OPEN, separated(tags, self._between, several=several), _CLOSE)

    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give text in which either token opens a call."""
        alone = [self._tag(function) for function in functions]
        together = self.calls(functions, several=several)
        return triggered([_OPEN, _CALL], [together, *alone], several=several)

    @property
    def _fenced(self) -> bool:
        return "```json" in self.template

    @property
    def _between(self) -> str:
        return "\n" if self._fenced else ""

    def _tag(self, function: Function) -> Format:
        if self._fenced:
            begin = f"{_CALL}function{_SEPARATOR}{function.name}\n```json\n"
            return tag(begin, schema(function.parameters), f"\n```{_END}")
        return tag(f"{_CALL}{function.name}{_SEPARATOR}", schema(function.parameters), _END)


def _call(scanner: Scanner, output: Output) -> Steps[bool]:
    """Read a call up to the token at its end."""
    yield from scanner.skip_space()
    name = (yield from scanner.run(_HEAD)).strip()
    if not (yield from scanner.accept(_SEPARATOR)):
        return False
    yield from scanner.skip_space()
    if (yield from scanner.peek()) != "{":
        name = (yield from scanner.run(_NAME)).strip()
        yield from scanner.skip_space()
        yield from scanner.accept("```json")
        yield from scanner.skip_space()
    if not is_function_name(name) or (yield from scanner.peek()) != "{":
        return False
    scanner.forget()
    output.call(name)
    yield from scanner.json_value(output.arguments)
    yield from scanner.skip_space()
    yield from scanner.accept("```")
    return True
