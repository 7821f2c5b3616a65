"""Reasoning between tags, at the beginning of a completion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inference_service.chat.output import Output
from inference_service.chat.scanner import Markers, Scanner, Steps
from inference_service.chat.structure import Format, any_text, either, regex, sequence, tag


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The tags of a family's reasoning.

    Attributes:
        begin: The tag before it.
        end: The tag after it.
        appears: Tells from a chat template whether its model reasons so.

    """

    begin: str
    end: str
    appears: Callable[[str], bool]

    def is_open(self, prompt: str) -> bool:
        """Tell whether the completion begins inside of reasoning."""
        return prompt.rstrip().endswith(self.begin)

    def is_over(self, prompt: str) -> bool:
        """Tell whether the prompt says that there is no reasoning."""
        return prompt.rstrip().endswith(self.end)

    def parse(self, scanner: Scanner, output: Output, *, is_open: bool) -> Steps[None]:
        """Read the reasoning if there is any."""
        if not is_open:
            scanner.keep()
            yield from scanner.skip_space()
            if not (yield from scanner.accept(self.begin)):
                output.text(scanner.release(marked=False))
                return
            scanner.forget()
        output.begin_reasoning()
        if (yield from scanner.text_until(Markers(self.end), output.reasoning)):
            yield from scanner.accept(self.end)
            output.end_reasoning()

    def before(self, form: Format, prompt: str) -> Format:
        """Give a form with the reasoning that may, or must, come before it."""
        if self.is_over(prompt):
            return form
        begin = "" if self.is_open(prompt) else self.begin
        reasoned = sequence(tag(begin, any_text(), self.end), regex(r"\n{0,2}"), form)
        return reasoned if self.is_open(prompt) else either(form, reasoned)


REASONING = {
    "mistral": Reasoning("[THINK]", "[/THINK]", lambda template: "[THINK]" in template),
    "think": Reasoning(
        "<think>",
        "</think>",
        lambda template: "<think>" in template or "</think>" in template,
    ),
}
