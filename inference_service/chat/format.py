"""How one model is talked to: conversations to prompts, completions to events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from inference_service.chat.constraint import constrain
from inference_service.chat.conversation import (
    as_text,
    check_tool_messages,
    entries,
    one_call_each,
    tool_entry,
    with_instructions,
)
from inference_service.chat.fallback import instructions
from inference_service.chat.families import FAMILIES, Family, Harmony, Hermes
from inference_service.chat.families.harmony import START
from inference_service.chat.output import Output
from inference_service.chat.parser import CompletionParser, Parser
from inference_service.chat.reasoning import REASONING, Reasoning
from inference_service.chat.scanner import Scanner, Steps
from inference_service.chat.templates import ChatTemplate
from inference_service.domain import ChatInput, Grammar, Role, Tool, ToolMode
from inference_service.errors import InvalidArgument, Unsupported

_INLINE_CHARACTERS = 20_000  # about a millisecond of rendering; more is done off the event loop

_MESSAGE_CHARACTERS = 100  # what a message costs by itself, in characters

# Harmony has three efforts.
_HARMONY_EFFORTS = {"none": "low", "minimal": "low", "xhigh": "high"}


@dataclass(frozen=True, slots=True)
class PreparedChat:
    """A conversation made ready for the engine.

    Attributes:
        prompt: What the model is given, special tokens included.
        grammar: The form that the completion must have.
        markers: Special tokens whose text the parser needs.
        parser: Makes the parser of one completion; `None` leaves its text as it is.

    """

    prompt: str
    grammar: Grammar | None
    markers: tuple[str, ...]
    parser: Callable[[], Parser] | None


class ChatFormat:
    """How one model is talked to.

    Args:
        template: The source of the model's chat template.
        special_tokens: What the template may name, such as `bos_token`, as text.
        model: The model's name, for errors.
        tool_parser: How the model writes calls: a name of `FAMILIES`, `none`, or `auto`: as the
            template shows.
        reasoning_parser: How it marks its reasoning: a name of `REASONING`, `harmony`, `none`, or
            `auto`.

    """

    def __init__(
        self,
        template: str,
        special_tokens: Mapping[str, str],
        model: str,
        tool_parser: str = "auto",
        reasoning_parser: str = "auto",
    ) -> None:
        self.template = ChatTemplate(template, special_tokens, model)
        self._model = model
        self._is_probed = False  # the template's traits are found when they are first asked for
        self._takes_tools = tool_parser != "none"
        self._written = _family(tool_parser, template)
        self._harmony: Harmony | None = None
        if isinstance(self._written, Harmony) or reasoning_parser == "harmony":
            self._harmony = Harmony(template, reasoning=reasoning_parser != "none")
        self._reasoning = None if self._harmony else _reasoning(reasoning_parser, template)

    def check(self) -> None:
        """Compile the template.

        Raises:
            jinja2.TemplateSyntaxError: It is no Jinja.

        """
        self.template.check()

    async def prepare(self, chat: ChatInput, grammar: Grammar | None) -> PreparedChat:
        """Turn a conversation into a prompt, and say how its completion is written and read.

        Args:
            chat: The conversation.
            grammar: The request's own constraint.

        Raises:
            ChatTemplateError: The template refused the conversation.
            InvalidArgument: The conversation or its tools are contradictory.
            Unsupported: The model takes no tools.

        """
        if self._is_probed and _size(chat) <= _INLINE_CHARACTERS:
            return self._prepare(chat, grammar)
        prepared = await asyncio.to_thread(self._prepare, chat, grammar)
        self._is_probed = True
        return prepared

    def _prepare(self, chat: ChatInput, grammar: Grammar | None) -> PreparedChat:
        check_tool_messages(chat.messages)
        self._check(chat, grammar)
        tools = self._offered(chat)
        family = self._family
        if self._harmony:
            family = self._harmony.with_tools(bool(tools))
        prompt = self._render(chat, tools)
        markers = family.markers if tools or self._harmony else ()
        if self._reasoning:
            markers += (self._reasoning.begin, self._reasoning.end)
        return PreparedChat(
            prompt,
            constrain(chat, tools, grammar, family, self._reasoning, prompt),
            markers,
            self._parser(family, prompt, chat, has_tools=bool(tools)),
        )

    @cached_property
    def _is_native(self) -> bool:
        """Whether the template tells of tools, and the form in which it does is known."""
        return self._written is not None and self.template.traits.tools != "nowhere"

    @cached_property
    def _family(self) -> Family:
        """How calls are written; without the template's help as the fallback asks for."""
        return self._written if self._written and self._is_native else Hermes("")

    def _check(self, chat: ChatInput, grammar: Grammar | None) -> None:
        required = chat.tool_choice.mode is ToolMode.REQUIRED
        if required and grammar:
            raise InvalidArgument(grammar.field, "can't go together with a required tool choice")
        self.template.check_variables(chat.template_kwargs)
        if chat.continue_final_message:
            last = chat.messages[-1]
            if last.role is not Role.ASSISTANT or last.tool_calls:
                raise InvalidArgument(
                    "chat.continue_final_message", "the last message is no text of the assistant's"
                )
            if required:
                raise InvalidArgument(
                    "chat.continue_final_message", "can't go together with a required tool choice"
                )

    def _offered(self, chat: ChatInput) -> tuple[Tool, ...]:
        """Return the tools that the model is told of."""
        choice = chat.tool_choice
        names = {tool.name for tool in chat.tools}
        if unknown := set(choice.functions) - names:
            raise InvalidArgument("chat.tool_choice", f"no tool is named {min(unknown)!r}")
        if choice.mode is ToolMode.NONE:
            return ()
        if choice.mode is ToolMode.REQUIRED and not names:
            raise InvalidArgument("chat.tool_choice", "a call is required, but there are no tools")
        if names and not self._takes_tools:
            raise Unsupported("tools", f"model {self._model!r} is set to take no tools")
        allowed = choice.functions or names
        return tuple(tool for tool in chat.tools if tool.name in allowed)

    def _render(self, chat: ChatInput, tools: tuple[Tool, ...]) -> str:
        traits = self.template.traits
        told = [tool_entry(tool) for tool in tools]
        messages = list(chat.messages)
        native = self._is_native
        if self._family.one_call:
            messages = one_call_each(messages)
        if not traits.calls or not native:
            messages = as_text(messages, self._family)
        if told and not native:
            messages = with_instructions(messages, instructions(told), system=traits.system)
        turned = entries(messages, traits, self._family)
        if told and native and traits.tools == "system":
            if turned[0]["role"] != "system":
                turned.insert(0, {"role": "system", "content": ""})
            turned[0]["tools"] = json.dumps(told, ensure_ascii=False)
        return self.template.render(
            turned,
            told if told and native and traits.tools == "variable" else None,
            continue_final_message=chat.continue_final_message,
            variables=self._variables(chat),
        )

    def _variables(self, chat: ChatInput) -> dict[str, Any]:
        effort = chat.reasoning_effort
        if effort is None:
            return dict(chat.template_kwargs)
        thinks = effort != "none"
        if self._harmony:
            effort = _HARMONY_EFFORTS.get(effort, effort)
        known = {"reasoning_effort": effort, "enable_thinking": thinks, "thinking": thinks}
        return known | dict(chat.template_kwargs)

    def _parser(
        self, family: Family, prompt: str, chat: ChatInput, *, has_tools: bool
    ) -> Callable[[], Parser] | None:
        reasoning, parallel = self._reasoning, chat.parallel_tool_calls
        if self._harmony:
            begun = prompt.rpartition(START)[2] if START in prompt else ""
            return partial(CompletionParser, family.parse, parallel=parallel, begun=begun)
        if not reasoning and not has_tools:
            return None
        is_open = reasoning is not None and reasoning.is_open(prompt)

        def read(scanner: Scanner, output: Output) -> Steps[None]:
            if reasoning:
                yield from reasoning.parse(scanner, output, is_open=is_open)
            if has_tools:
                yield from family.parse(scanner, output)

        return partial(CompletionParser, read, parallel=parallel)


def _family(tool_parser: str, template: str) -> Family | None:
    if tool_parser in FAMILIES:
        return FAMILIES[tool_parser](template)
    written = (family for family in FAMILIES.values() if family.writes(template))
    family = next(written, None)
    return family(template) if family else None


def _reasoning(reasoning_parser: str, template: str) -> Reasoning | None:
    if reasoning_parser == "auto":
        return next((way for way in REASONING.values() if way.appears(template)), None)
    return REASONING.get(reasoning_parser)


def _size(chat: ChatInput) -> int:
    """Return how much there is to render, in characters."""
    messages = sum(
        _MESSAGE_CHARACTERS
        + len(message.name or "")
        + sum(map(len, message.parts))
        + len(message.reasoning or "")
        + sum(len(call.arguments) + _MESSAGE_CHARACTERS for call in message.tool_calls)
        for message in chat.messages
    )
    return messages + sum(len(str(tool)) for tool in chat.tools)
