"""What the parsers need to know of a family of models."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from inference_service.chat.output import Output
from inference_service.chat.scanner import Scanner, Steps
from inference_service.chat.structure import Format, schema, tag
from inference_service.domain import ToolCall


@dataclass(frozen=True, slots=True)
class Function:
    """A function that may be called, and the JSON Schema that its arguments must match."""

    name: str
    parameters: dict[str, Any]


class Family(ABC):
    """How a family of models writes calls of tools.

    Args:
        template: The source of the model's chat template, which tells variants apart.

    Attributes:
        markers: Special tokens whose text the parser needs.
        one_call: Whether the chat templates show but one call of a past message, or refuse more.

    """

    markers: ClassVar[tuple[str, ...]] = ()
    one_call: ClassVar[bool] = False

    def __init__(self, template: str) -> None:
        self.template = template

    @staticmethod
    @abstractmethod
    def writes(template: str) -> bool:
        """Tell from a chat template whether its model is of this family."""

    @abstractmethod
    def parse(self, scanner: Scanner, output: Output) -> Steps[None]:
        """Read a completion to its end, after its reasoning if there is any."""

    @abstractmethod
    def calls(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give the form of a call, or of several, and nothing else."""

    @abstractmethod
    def calls_in_text(self, functions: Sequence[Function], *, several: bool) -> Format:
        """Give the form of any text, in which whatever is parsed as a call has its form."""

    def call_id(self, identity: str) -> str:
        """Give the id of a past call as the chat template accepts it."""
        return identity

    def history(self, calls: Sequence[ToolCall]) -> str:
        """Write past calls as text, for a chat template that doesn't know of calls."""
        return "\n".join(f"<tool_call>\n{written(call)}\n</tool_call>" for call in calls)


def written(call: ToolCall) -> str:
    """Write a past call as a JSON object."""
    return f'{{"name": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}'


def json_call(
    function: Function, before: str = "", after: str = "", key: str = "arguments"
) -> Format:
    """Give the form of a call that is a JSON object."""
    begin = f'{before}{{"name": {json.dumps(function.name)}, "{key}": '
    return tag(begin, schema(function.parameters), f"}}{after}")
