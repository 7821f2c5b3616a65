"""The turns of a conversation as the service's messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openvino_server.v1 import chat_pb2
from pydantic_core import to_json

from rest_gateway.anthropic.content import TextBlock, ToolResultBlock
from rest_gateway.anthropic.origins import Origin
from rest_gateway.anthropic.schema import (
    AssistantMessage,
    CountTokensRequest,
    SystemMessage,
    UserMessage,
)

# Templates have no flag for it.
_FAILED = "Error: "


class Conversation:
    """A request's turns, written one after the other.

    Turns of one role that follow each other become one, as in Anthropic's API: many templates take
    only roles that alternate.

    Attributes:
        messages: The service's messages.
        origins: Where each was in the request.
        continues: Whether the last message is the beginning of the answer.

    """

    def __init__(self, request: CountTokensRequest) -> None:
        self.messages: list[chat_pb2.ChatMessage] = []
        self.origins: list[Origin] = []
        self._calls: list[str] = []
        if request.system:
            self._say(chat_pb2.ROLE_SYSTEM, _texts(request.system), "system")
        *turns, last = request.messages
        for place, turn in enumerate(turns):
            self._add(turn, f"messages.{place}")
        # A last turn of the assistant's without content begins nothing.
        self.continues = isinstance(last, AssistantMessage) and bool(last.content)
        if self.continues or not isinstance(last, AssistantMessage):
            self._add(last, f"messages.{len(turns)}")

    def _add(self, turn: UserMessage | AssistantMessage | SystemMessage, path: str) -> None:
        if isinstance(turn, UserMessage):
            self._add_user(turn, path)
        elif isinstance(turn, AssistantMessage):
            self._add_assistant(turn, path)
        else:
            self._say(chat_pb2.ROLE_SYSTEM, _texts(turn.content), path)

    def _add_user(self, turn: UserMessage, path: str) -> None:
        if isinstance(turn.content, str):
            self._say(chat_pb2.ROLE_USER, [turn.content], path)
            return
        for place, block in enumerate(turn.content):
            if isinstance(block, ToolResultBlock):
                self._add_result(block, f"{path}.content.{place}")
            else:
                self._say(chat_pb2.ROLE_USER, [block.text], path)

    def _add_result(self, block: ToolResultBlock, path: str) -> None:
        texts = _texts(block.content or "")
        if block.is_error:
            texts = [_FAILED + texts[0], *texts[1:]]
        self.messages.append(
            chat_pb2.ChatMessage(
                role=chat_pb2.ROLE_TOOL, content=_parts(texts), tool_call_id=block.tool_use_id
            )
        )
        self.origins.append(Origin(path))

    def _add_assistant(self, turn: AssistantMessage, path: str) -> None:
        if isinstance(turn.content, str):
            self._say(chat_pb2.ROLE_ASSISTANT, [turn.content], path)
            return
        message = self._say(chat_pb2.ROLE_ASSISTANT, [], path)
        for place, block in enumerate(turn.content):
            if block.type == "text":
                message.content.append(chat_pb2.ContentPart(text=block.text))
            elif block.type == "thinking":
                message.reasoning += block.thinking
            elif block.type == "tool_use":
                message.tool_calls.append(
                    chat_pb2.ToolCall(
                        id=block.id, name=block.name, arguments_json=to_json(block.input).decode()
                    )
                )
                self._calls.append(f"{path}.content.{place}")
        if not message.content and not message.tool_calls:
            message.content.append(chat_pb2.ContentPart(text=""))

    def _say(
        self, role: chat_pb2.Role.ValueType, texts: Iterable[str], path: str
    ) -> chat_pb2.ChatMessage:
        """Add texts to the last message if that is of the same role, else in a message."""
        if not self.messages or self.messages[-1].role != role:
            self.messages.append(chat_pb2.ChatMessage(role=role))
            self._calls = []
            self.origins.append(Origin(path, self._calls))
        message = self.messages[-1]
        message.content.extend(_parts(texts))
        return message


def _texts(content: str | Sequence[TextBlock]) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block.text for block in content] or [""]


def _parts(texts: Iterable[str]) -> list[chat_pb2.ContentPart]:
    return [chat_pb2.ContentPart(text=text) for text in texts]
