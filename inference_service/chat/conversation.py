"""Conversations as chat templates take them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from inference_service.chat.families import Family
from inference_service.chat.traits import Entry, Traits
from inference_service.domain import Message, Role, Tool, ToolCall
from inference_service.errors import InvalidArgument


def check_tool_messages(messages: Sequence[Message]) -> None:
    """Check that calls in a conversation are whole, and that results are of calls.

    Raises:
        InvalidArgument: One isn't.

    """
    called: set[str] = set()
    for place, message in enumerate(messages):
        field = f"chat.messages[{place}]"
        for number, call in enumerate(message.tool_calls):
            if _arguments(call) is None:
                raise InvalidArgument(
                    f"{field}.tool_calls[{number}].arguments_json", "is not a JSON object"
                )
            called.add(call.id)
        if message.role is Role.TOOL and message.tool_call_id not in called:
            raise InvalidArgument(
                f"{field}.tool_call_id", "is not the id of a call in an assistant message before it"
            )


def tool_entry(tool: Tool) -> Entry:
    """Turn a tool into what templates take."""
    function = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": dict(tool.parameters or {"type": "object", "properties": {}}),
    }
    return {"type": "function", "function": function}


def entries(messages: Sequence[Message], traits: Traits, family: Family) -> list[Entry]:
    """Turn messages into what a template takes."""
    names: dict[str, str] = {}
    turned: list[Entry] = []
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        if message.tool_calls and message.parts and traits.null_content:
            turned.append(_entry(replace(message, tool_calls=()), traits))
            message = replace(message, parts=(), reasoning=None)
        entry = _entry(message, traits)
        if message.tool_calls:
            entry["tool_calls"] = [_call_entry(call, traits, family) for call in message.tool_calls]
            if traits.null_content:
                entry["content"] = None
        if message.tool_call_id is not None:
            entry["tool_call_id"] = family.call_id(message.tool_call_id)
            entry.setdefault("name", names.get(message.tool_call_id, ""))
        turned.append(entry)
    return turned


def one_call_each(messages: Sequence[Message]) -> list[Message]:
    """Part messages of several calls into messages of one, each before its result."""
    parted: list[Message] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if len(message.tool_calls) < 2:
            parted.append(message)
            continue
        end = place
        while end < len(messages) and messages[end].role is Role.TOOL:
            end += 1
        results = list(messages[place:end])
        place = end
        for number, call in enumerate(message.tool_calls):
            alone = replace(message, tool_calls=(call,))
            parted.append(replace(alone, parts=(), reasoning=None) if number else alone)
            parted += [result for result in results if result.tool_call_id == call.id]
        called = {call.id for call in message.tool_calls}
        parted += [result for result in results if result.tool_call_id not in called]
    return parted


def as_text(messages: Sequence[Message], family: Family) -> list[Message]:
    """Write calls and their results as text, for a template that doesn't know of them."""
    written: list[Message] = []
    results: list[str] = []
    for message in messages:
        if message.role is Role.TOOL:
            text = "\n".join(message.parts)
            results.append(f"<tool_response>\n{text}\n</tool_response>")
            continue
        if results:
            written.append(Message(Role.USER, ("\n".join(results),)))
            results = []
        if message.tool_calls:
            parts = (*message.parts, family.history(message.tool_calls))
            message = replace(message, parts=parts, tool_calls=())
        written.append(message)
    if results:
        written.append(Message(Role.USER, ("\n".join(results),)))
    return written


def with_instructions(messages: Sequence[Message], text: str, *, system: bool) -> list[Message]:
    """Add instructions to the system message, or where there is no such role to the first."""
    roles = (Role.SYSTEM, Role.DEVELOPER) if system else (Role.USER,)
    for place, message in enumerate(messages):
        if message.role in roles:
            parts = (*message.parts, text) if system else (text, *message.parts)
            return [
                *messages[:place],
                replace(message, parts=("\n\n".join(parts),)),
                *messages[place + 1 :],
            ]
    role = Role.SYSTEM if system else Role.USER
    return [Message(role, (text,)), *messages]


def _entry(message: Message, traits: Traits) -> Entry:
    role = message.role
    if role is Role.DEVELOPER and not traits.developer:
        role = Role.SYSTEM
    entry: Entry = {"role": role.value, "content": "\n".join(message.parts)}
    if traits.parts:
        entry["content"] = [{"type": "text", "text": part} for part in message.parts]
    if message.name is not None:
        entry["name"] = message.name
    if message.reasoning is not None:
        entry["reasoning_content"] = message.reasoning
    return entry


def _call_entry(call: ToolCall, traits: Traits, family: Family) -> Entry:
    arguments = call.arguments or "{}" if traits.argument_text else _arguments(call)
    function = {"name": call.name, "arguments": arguments}
    return {"id": family.call_id(call.id), "type": "function", "function": function}


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None
