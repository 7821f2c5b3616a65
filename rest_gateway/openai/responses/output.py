"""The items that a response puts out, and the events that tell of them.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any, Literal

from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.logprobs import token_logprobs

# An event's name, and its fields but for `type` and `sequence_number`.
Event = tuple[str, dict[str, Any]]
Ending = Literal["completed", "incomplete"]


class OutputItem(ABC):
    """One item while it is made: opened once, added to, closed once.

    Attributes:
        id: The item's id.
        index: Its place in the output, from 0.
        status: Whether it is whole yet.

    """

    prefix: str

    def __init__(self, index: int) -> None:
        self.id = f"{self.prefix}_{uuid.uuid4().hex}"
        self.index = index
        self.status = "in_progress"
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """All pieces so far."""
        return "".join(self._pieces)

    @abstractmethod
    def written(self) -> dict[str, Any]:
        """Write the item as it is now."""

    @abstractmethod
    def opened(self) -> list[Event]:
        """Tell that the item begins."""

    @abstractmethod
    def closed(self, status: Ending) -> list[Event]:
        """End the item and tell it."""

    def _added(self) -> Event:
        return "response.output_item.added", {"output_index": self.index, "item": self.written()}

    def _done(self) -> Event:
        return "response.output_item.done", {"output_index": self.index, "item": self.written()}

    def _event(self, kind: str, **fields: Any) -> Event:
        return kind, {"item_id": self.id, "output_index": self.index, **fields}


class _PartedItem(OutputItem):
    """An item whose text is the one part of its content."""

    text_events: str

    @abstractmethod
    def _part(self) -> dict[str, Any]:
        """Write the part as it is now."""

    def _content(self) -> list[dict[str, Any]]:
        # The part comes with an event of its own, after the item's.
        return [self._part()] if self._begun else []

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._begun = False

    def opened(self) -> list[Event]:
        """See `OutputItem`."""
        added = self._added()
        self._begun = True
        return [
            added,
            self._event("response.content_part.added", content_index=0, part=self._part()),
        ]

    def closed(self, status: Ending) -> list[Event]:
        """See `OutputItem`."""
        self.status = status
        return [
            self._text_event("done", text=self.text),
            self._event("response.content_part.done", content_index=0, part=self._part()),
            self._done(),
        ]

    def _text_event(self, kind: str, **fields: Any) -> Event:
        return self._event(f"{self.text_events}.{kind}", content_index=0, **fields)


class MessageOutput(_PartedItem):
    """The answer's text."""

    prefix = "msg"
    text_events = "response.output_text"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self._logprobs: list[dict[str, Any]] = []

    def append(self, text: str, logprobs: list[dict[str, Any]]) -> list[Event]:
        """Add text, and the tokens' log-probabilities if they are wanted."""
        self._pieces.append(text)
        self._logprobs += logprobs
        return [self._text_event("delta", delta=text, logprobs=logprobs)]

    def closed(self, status: Ending) -> list[Event]:
        """See `OutputItem`."""
        (name, fields), *rest = super().closed(status)
        return [(name, fields | {"logprobs": self._logprobs}), *rest]

    def written(self) -> dict[str, Any]:
        """See `OutputItem`."""
        return {
            "id": self.id,
            "type": "message",
            "status": self.status,
            "role": "assistant",
            "content": self._content(),
        }

    def _part(self) -> dict[str, Any]:
        return {
            "type": "output_text",
            "text": self.text,
            "annotations": [],
            "logprobs": list(self._logprobs),
        }


class ReasoningOutput(_PartedItem):
    """What the model thought."""

    prefix = "rs"
    text_events = "response.reasoning_text"

    def append(self, text: str) -> list[Event]:
        """Add text."""
        self._pieces.append(text)
        return [self._text_event("delta", delta=text)]

    def written(self) -> dict[str, Any]:
        """See `OutputItem`."""
        return {
            "id": self.id,
            "type": "reasoning",
            "status": self.status,
            "summary": [],
            "content": self._content(),
            "encrypted_content": None,
        }

    def _part(self) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": self.text}


class FunctionCallOutput(OutputItem):
    """A call of a function.

    Args:
        index: Its place in the output.
        call_id: What the function's result is to name.
        name: The function's.

    """

    prefix = "fc"

    def __init__(self, index: int, call_id: str, name: str) -> None:
        super().__init__(index)
        self._call_id = call_id
        self._name = name

    def append(self, arguments: str) -> list[Event]:
        """Add to the arguments."""
        self._pieces.append(arguments)
        return [self._event("response.function_call_arguments.delta", delta=arguments)]

    def opened(self) -> list[Event]:
        """See `OutputItem`."""
        return [self._added()]

    def closed(self, status: Ending) -> list[Event]:
        """See `OutputItem`."""
        self.status = status
        done = "response.function_call_arguments.done"
        return [self._event(done, name=self._name, arguments=self.text), self._done()]

    def written(self) -> dict[str, Any]:
        """See `OutputItem`."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "arguments": self.text,
            "call_id": self._call_id,
            "name": self._name,
        }


class Output:
    """Makes items of what a generation says: at any time one of them, the last, is being made.

    Args:
        logprobs: Whether the tokens' log-probabilities are wanted.

    """

    def __init__(self, *, logprobs: bool = False) -> None:
        self._logprobs = logprobs
        self._items: list[OutputItem] = []
        self._call = -1

    def written(self) -> list[dict[str, Any]]:
        """Write all items as they are now."""
        return [item.written() for item in self._items]

    def text(self, delta: inference_pb2.TextDelta) -> list[Event]:
        """Add text of the answer."""
        if not delta.text and not (self._logprobs and delta.logprobs):
            return []
        logprobs = token_logprobs(delta.logprobs) if self._logprobs else []
        last = self._last
        if isinstance(last, MessageOutput):
            return last.append(delta.text, logprobs)
        message = MessageOutput(len(self._items))
        return [*self._open(message), *message.append(delta.text, logprobs)]

    def reasoning(self, delta: inference_pb2.ReasoningDelta) -> list[Event]:
        """Add to what the model thinks."""
        if not delta.text:
            return []
        last = self._last
        if isinstance(last, ReasoningOutput):
            return last.append(delta.text)
        reasoning = ReasoningOutput(len(self._items))
        return [*self._open(reasoning), *reasoning.append(delta.text)]

    def tool_call(self, delta: inference_pb2.ToolCallDelta) -> list[Event]:
        """Begin a call, or add to the arguments of the last.

        Raises:
            ApiError: It is neither.

        """
        last = self._last
        events: list[Event] = []
        if delta.call_index > self._call and delta.id and delta.name:
            self._call = delta.call_index
            last = FunctionCallOutput(len(self._items), delta.id, delta.name)
            events = self._open(last)
        elif delta.call_index != self._call or not isinstance(last, FunctionCallOutput):
            raise errors.broken_stream(f"a piece of tool call {delta.call_index}")
        if delta.arguments_json_delta:
            events += last.append(delta.arguments_json_delta)
        return events

    def close(self, status: Ending) -> list[Event]:
        """End the last item, if one is being made."""
        last = self._last
        return last.closed(status) if last else []

    def close_answer(self, status: Ending) -> list[Event]:
        """End the last item; an output without any gets an empty message, which is the answer."""
        if self._items:
            return self.close(status)
        return [*self._open(MessageOutput(0)), *self.close(status)]

    @property
    def _last(self) -> OutputItem | None:
        last = self._items[-1] if self._items else None
        return last if last and last.status == "in_progress" else None

    def _open(self, item: OutputItem) -> list[Event]:
        closed = self.close("completed")
        self._items.append(item)
        return [*closed, *item.opened()]
