"""What a request asks for, made ready for the engine: prompt, form, and how its answer is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from inference_service.domain import (
    ChatInput,
    Constraint,
    GenerateRequest,
    Grammar,
    PromptInput,
    SamplingParams,
    Tool,
    ToolMode,
)
from inference_service.engine.stream import Parser
from inference_service.errors import InvalidArgument, Unsupported
from inference_service.grammar import check_schema, enforceable, grammar_of
from inference_service.models.loaded import LoadedModel

_INLINE_CHARACTERS = 4_000  # of forms; converting more takes milliseconds, off the event loop

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the engine is given for a request.

    Attributes:
        prompt: Text, or token ids.
        grammar: The form of the completion; not yet known to compile.
        markers: Special tokens whose text the parser needs.
        parser: Makes the parser of one completion; `None` leaves its text as it is.
        add_special_tokens: Whether the tokenizer is to add its special tokens to the text.

    """

    prompt: str | tuple[int, ...]
    grammar: Grammar | None = None
    markers: tuple[str, ...] = ()
    parser: Callable[[], Parser] | None = None
    add_special_tokens: bool = False


async def prepare(model: LoadedModel, request: GenerateRequest) -> Prepared:
    """Render a request's conversation, and make a grammar of all that its answer must be.

    Raises:
        ChatTemplateError: The chat template refused the conversation, or there is none.
        InvalidArgument: A form can't be enforced, or the sampling would break it.
        Unsupported: The model can't do what is asked.

    """
    grammar = None
    if constraint := request.constraint:
        if constraint.kind == "grammar" and not model.folder.settings.client_grammars:
            message = f"model {model.folder.name!r} is set to take no grammars of requests"
            raise Unsupported("constraint.grammar", message, field="constraint.grammar")
        grammar = await _run(_length(constraint), grammar_of, constraint)
    if isinstance(request.input, ChatInput):
        enforced = _enforced(request.input)
        size = sum(len(str(tool.parameters)) for _, tool in enforced)
        await _run(size, _check_tools, enforced)
        chat = await model.chat.prepare(request.input, grammar)
        grammar = await _run(size, enforceable, chat.grammar) if chat.grammar else None
        prepared = Prepared(chat.prompt, grammar, chat.markers, chat.parser)
    elif isinstance(request.input, PromptInput):
        add = request.input.add_special_tokens
        prepared = Prepared(request.input.text, grammar, add_special_tokens=add)
    else:
        prepared = Prepared(request.input.ids, grammar)
    if prepared.grammar:
        _check_sampling(request.sampling, prepared.grammar)
    return prepared


def _enforced(chat: ChatInput) -> list[tuple[int, Tool]]:
    """Return the tools whose calls a grammar enforces, each with its place."""
    choice = chat.tool_choice
    return [
        (place, tool)
        for place, tool in enumerate(chat.tools)
        if choice.mode is not ToolMode.NONE
        and (tool.strict or choice.mode is ToolMode.REQUIRED)
        and (not choice.functions or tool.name in choice.functions)
    ]


def _check_tools(tools: list[tuple[int, Tool]]) -> None:
    for place, tool in tools:
        if tool.parameters is not None:
            check_schema(tool.parameters, f"chat.tools[{place}].parameters_json")


def _check_sampling(sampling: SamplingParams, grammar: Grammar) -> None:
    """Refuse what a grammar can't be held to: at its end it allows nothing but the end."""
    if sampling.ignore_eos:
        raise InvalidArgument(
            "sampling.ignore_eos", f"can't be used with a form, by {grammar.field}"
        )
    if sampling.min_tokens:
        raise InvalidArgument(
            "sampling.min_tokens", f"can't be used with a form, by {grammar.field}"
        )


def _length(constraint: Constraint) -> int:
    return len(constraint.source) + sum(map(len, constraint.choices))


async def _run(size: int, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call a function here if its work is small, else in a thread."""
    if size <= _INLINE_CHARACTERS:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)
