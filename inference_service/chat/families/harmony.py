"""Harmony, of gpt-oss: messages on channels, `analysis` for reasoning, `final` for the answer.

A call is a message to a function. See https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from inference_service.chat.families.family import Family, Function
from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import (
    Format,
    any_text,
    constant,
    either,
    schema,
    separated,
    sequence,
    tag,
    triggered,
)
from inference_service.domain import is_function_name

START = "<|start|>assistant"
_START, _CHANNEL, _CONSTRAIN = "<|start|>", "<|channel|>", "<|constrain|>"
_MESSAGE, _END, _CALL, _RETURN = "<|message|>", "<|end|>", "<|call|>", "<|return|>"
_HEADER = Markers(_START, _CHANNEL, _MESSAGE, " to=functions.")
_BODY = Markers(_MESSAGE)
_NEXT = Markers(_END, _CALL, _RETURN, _START, _CHANNEL)
_CHANNEL_NAME = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\sto=functions\.([^\s<]+)")


class Harmony(Family):
    """Messages on channels.

    Args:
        template: The source of the model's chat template.
        reasoning: Whether `analysis` is told apart from content.
        tools: Whether messages to functions are calls.

    """

    markers = (_START, _CHANNEL, _CONSTRAIN, _MESSAGE, _END, _CALL, _RETURN)
    one_call = True

    def __init__(self, template: str, *, reasoning: bool = True, tools: bool = True) -> None:
        super().__init__(template)
        self._reasoning = reasoning
        self._tools = tools

    def with_tools(self, tools: bool) -> Harmony:
        """Return the same, for a request that has tools or not."""
        return Harmony(self.template, reasoning=self._reasoning, tools=tools)

    @staticmethod
    def writes(template: str) -> bool:
        """Tell it by the token before channels."""
        return _CHANNEL in template

    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read messages; the first has begun, so that its header comes, or text without one."""
        while (yield from scanner.text_until(_HEADER, output.text)):
            pieces: list[str] = []
            marker = yield from scanner.text_until(_BODY, pieces.append)
            header = "".join(pieces)
            if marker:
                yield from scanner.accept(_MESSAGE)
                yield from self._message(header, scanner, output)
                for end in (_END, _CALL, _RETURN):
                    yield from scanner.accept(end)
                yield from scanner.skip_space()
            elif not header.startswith("<|"):
                output.text(header)

    def _message(self, header: str, scanner: Scanner, output: Output) -> Steps[None]:
        channel = _CHANNEL_NAME.search(header)
        recipient = _RECIPIENT.search(header)
        if self._tools and recipient and is_function_name(recipient[1]):
            yield from scanner.skip_space()
            output.call(recipient[1])
            yield from scanner.json_value(output.arguments)
            yield from scanner.text_until(_NEXT, len)
        elif self._reasoning and channel and channel[1] == "analysis":
            output.begin_reasoning()
            yield from scanner.text_until(_NEXT, output.reasoning)
            output.end_reasoning()
        else:
            output.paragraph()
            yield from scanner.text_until(_NEXT, output.text)

    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give one call: the model's turn ends with it, so `several` makes no difference."""
        tags = [
            tag(
                f"{_CHANNEL}commentary to=functions.{function.name} {_CONSTRAIN}json{_MESSAGE}",
                schema(function.parameters),
                "",
            )
            for function in functions
        ]
        return separated(tags, "", several=False)

    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give messages of which those to functions are calls."""
        tags = [
            tag(
                f" to=functions.{function.name} {_CONSTRAIN}json{_MESSAGE}",
                schema(function.parameters),
                "",
            )
            for function in functions
        ]
        return triggered([" to=functions."], tags, several=several)

    def after_reasoning(self, form: Format) -> Format:
        """Give a form, before which there may be messages of reasoning."""
        reasoning = tag(f"{_CHANNEL}analysis{_MESSAGE}", any_text(), f"{_END}{START}")
        return either(form, sequence(reasoning, form))

    def final(self, form: Format) -> Format:
        """Give a form as the answer."""
        return sequence(constant(f"{_CHANNEL}final{_MESSAGE}"), form)
