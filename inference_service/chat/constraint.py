"""The grammar of a whole completion: reasoning, then calls or what the request asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference_service.chat.families import Family, Function, Harmony
from inference_service.chat.reasoning import Reasoning
from inference_service.chat.structure import Format, either, to_format, to_grammar
from inference_service.domain import ChatInput, Grammar, Tool, ToolMode
from inference_service.errors import InvalidArgument

_FIELD = "chat.tools"
_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def constrain(
    chat: ChatInput,
    tools: Sequence[Tool],
    grammar: Grammar | None,
    family: Family,
    reasoning: Reasoning | None,
    prompt: str,
) -> Grammar | None:
    """Return the grammar of a completion; `None` if it is free.

    Args:
        chat: The request's conversation.
        tools: Those of its tools that the model is told of.
        grammar: The request's own constraint. With tools beside it, the answer has its form or
            is calls.
        family: How calls are written.
        reasoning: How reasoning is marked, but for Harmony, which has its own way.
        prompt: What the completion goes on from.

    Raises:
        InvalidArgument: The constraint can't be put after reasoning.

    """
    required = chat.tool_choice.mode is ToolMode.REQUIRED
    several = chat.parallel_tool_calls and not _is_named(chat)
    harmony = family if isinstance(family, Harmony) else None
    if grammar and not (tools or harmony or reasoning):
        return grammar
    if not grammar and not required:
        if not any(tool.strict for tool in tools):
            return None
        functions = [_function(tool, checked=tool.strict) for tool in tools]
        return to_grammar(family.calls_in_text(functions, several=several), _FIELD)
    forms: list[Format] = []
    if grammar:
        form = _to_format(grammar)
        is_answer = harmony and not chat.continue_final_message
        forms.append(harmony.final(form) if harmony and is_answer else form)
    if tools:
        forms.append(family.calls([_function(tool) for tool in tools], several=several))
    whole = forms[0] if len(forms) == 1 else either(*forms)
    if not chat.continue_final_message:
        if harmony:
            whole = harmony.after_reasoning(whole)
        elif reasoning:
            whole = reasoning.before(whole, prompt)
    return to_grammar(whole, grammar.field if grammar else _FIELD)


def _is_named(chat: ChatInput) -> bool:
    """Tell whether one function is asked for, and so one call: small models would repeat it."""
    choice = chat.tool_choice
    return choice.mode is ToolMode.REQUIRED and len(choice.functions) == 1


def _to_format(grammar: Grammar) -> Format:
    try:
        return to_format(grammar)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(grammar.field, f"is no JSON: {error}") from error


def _function(tool: Tool, *, checked: bool = True) -> Function:
    """Return what a call must match: the tool's schema, or unchecked any object."""
    if not checked:
        return Function(tool.name, {"type": "object"})
    if tool.parameters is None:
        return Function(tool.name, _NO_ARGUMENTS)
    return Function(tool.name, {"type": "object", **tool.parameters})
