"""Where each part of a prompt was in the client's request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rest_gateway.openai.names import Names

_MESSAGE = re.compile(r"chat\.messages\[(\d+)\](?:\.(\w+)(?:\[(\d+)\](?:\.(\w+))?)?)?.*")
_INDEX = re.compile(r"\[(\d+)\]")
RENAMED: Mapping[str, str] = {
    "sampling.stop": "stop_sequences",
    "chat.tool_choice.mode": "tool_choice.type",
    "chat.parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "constraint.json_schema": "output_config.format.schema",
    "constraint": "output_config.format",
}
_MERGED: Mapping[str, str] = {
    "chat.messages": "messages",
    "chat.continue_final_message": "messages",
    "chat.tool_choice.functions": "tool_choice.name",
    "chat.reasoning_effort": "thinking",
}
_OF_CALLS = {"arguments_json": "input"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message of the prompt was in the request.

    Attributes:
        path: Of what it was made of: `messages.2`, or `messages.2.content.0` for a tool's result.
        calls: Of each of its calls.

    """

    path: str
    calls: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OriginNames(Names):
    """Names of fields as Anthropic writes them: `tools.0.input_schema`.

    Attributes:
        origins: Of each message of the prompt.

    """

    renamed: Mapping[str, str] = field(default_factory=lambda: RENAMED)
    merged: Mapping[str, str] = field(default_factory=lambda: _MERGED)
    origins: Sequence[Origin] = ()

    def sent_as(self, field_name: str) -> str:
        """See `Names`."""
        found = _MESSAGE.fullmatch(field_name)
        if found and int(found[1]) < len(self.origins):
            return _of_message(self.origins[int(found[1])], *found.groups()[1:])
        name = _INDEX.sub(r".\1", Names.sent_as(self, field_name))
        return name.replace(".parameters_json", ".input_schema")


def _of_message(origin: Origin, part: str | None, place: str | None, key: str | None) -> str:
    if part == "tool_call_id":
        return f"{origin.path}.tool_use_id"
    if part == "tool_calls" and place and int(place) < len(origin.calls):
        call = origin.calls[int(place)]
        return f"{call}.{_OF_CALLS.get(key, key)}" if key else call
    # What follows was put together from more than one block.
    return origin.path
