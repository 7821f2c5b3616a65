"""Conversations and tools."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Role(enum.Enum):
    """Who speaks in a conversation; the values are what chat templates call them."""

    DEVELOPER = "developer"
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole call of a tool in a conversation's history; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `parts` are texts, in order."""

    role: Role
    parts: tuple[str, ...]
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None


_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def is_function_name(text: str) -> bool:
    """Tell whether a function may have this name, as OpenAI's API has it."""
    return _FUNCTION_NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool = False


class ToolMode(enum.Enum):
    """Whether functions are to be called."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether functions are to be called, and which; no `functions` are all."""

    mode: ToolMode = ToolMode.AUTO
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatInput:
    """A conversation, oldest message first; see `ChatInput` in chat.proto."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    reasoning_effort: str | None = None
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    continue_final_message: bool = False
