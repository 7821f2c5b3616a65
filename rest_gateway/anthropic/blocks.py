"""The blocks of an answer: each event of the service belongs to one, and one is written at a time.

Source of the shape: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors
from rest_gateway.openai.errors import ApiError
from rest_gateway.openai.outcome import Outcome

# Thinking is not signed: nothing depends on its being this server's own when it comes back.
NO_SIGNATURE = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of an answer.

    Attributes:
        index: Its place in the answer.
        kind: What it holds.
        id: Of a use of a tool: its id.
        name: Of a use of a tool: the tool's name.
        call: Of a use of a tool: the service's index of it.

    """

    index: int
    kind: Literal["text", "thinking", "tool_use"]
    id: str = ""
    name: str = ""
    call: int | None = None

    def content(self, content: Any) -> dict[str, Any]:
        """Write the block with this content: a text, or the input of a tool."""
        if self.kind == "text":
            return {"type": "text", "text": content}
        if self.kind == "thinking":
            return {"type": "thinking", "thinking": content, "signature": NO_SIGNATURE}
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": content}


@dataclass(frozen=True, slots=True)
class Piece:
    """What an event adds to the answer.

    Attributes:
        block: To which block.
        text: What; perhaps nothing. Of a use of a tool: a piece of JSON.
        ends: The block before, if this piece begins its own.
        begins: Whether this piece begins its block.

    """

    block: Block
    text: str
    ends: Block | None = None
    begins: bool = False


class Blocks:
    """Puts the service's events into blocks.

    Attributes:
        last: The block that was begun last.

    """

    def __init__(self) -> None:
        self.last: Block | None = None
        self._calls = 0

    def add_text(self, text: str) -> Piece | None:
        """Take a piece of the completion; None if it adds nothing."""
        return self._add("text", text) if text else None

    def add_thinking(self, text: str) -> Piece | None:
        """Take a piece of the reasoning; None if it adds nothing."""
        return self._add("thinking", text) if text else None

    def add_call(self, delta: inference_pb2.ToolCallDelta) -> Piece:
        """Take a piece of a tool call.

        Raises:
            ApiError: It is of a call that has not begun, or has ended.

        """
        last, text = self.last, delta.arguments_json_delta
        if last and last.call == delta.call_index:
            return Piece(last, text)
        if delta.call_index != self._calls or not (delta.id and delta.name):
            raise errors.broken_stream(f"a piece of the tool call {delta.call_index}")
        self._calls += 1
        return self._begin("tool_use", text, delta.id, delta.name, delta.call_index)

    def _add(self, kind: Literal["text", "thinking"], text: str) -> Piece:
        if self.last and self.last.kind == kind:
            return Piece(self.last, text)
        return self._begin(kind, text)

    def _begin(
        self,
        kind: Literal["text", "thinking", "tool_use"],
        text: str,
        call_id: str = "",
        name: str = "",
        call: int | None = None,
    ) -> Piece:
        before = self.last
        index = before.index + 1 if before else 0
        self.last = Block(index, kind, call_id, name, call)
        return Piece(self.last, text, ends=before, begins=True)


class Ending:
    """Why an answer ended, and what it used, in Anthropic's words.

    Args:
        outcome: Adds up what the events say.

    Attributes:
        stop_reason: Why it ended; None as long as it has not.
        stop_sequence: Which of the request's stop sequences ended it, if one did.

    """

    def __init__(self, outcome: Outcome) -> None:
        self.stop_reason: str | None = None
        self.stop_sequence: str | None = None
        self._outcome = outcome

    def finish(self, event: inference_pb2.GenerateEvent) -> None:
        """Take the last event.

        Raises:
            ApiError: The service gave a reason that this gateway doesn't know.

        """
        reason = self._outcome.finish(event.index, event.finished)
        if reason == "length":
            self.stop_reason = "max_tokens"
        elif reason == "tool_calls":
            self.stop_reason = "tool_use"
        elif event.finished.HasField("matched_stop"):
            self.stop_reason = "stop_sequence"
            self.stop_sequence = event.finished.matched_stop
        else:
            self.stop_reason = "end_turn"

    def check_open(self) -> None:
        """Tell events that come after the last.

        Raises:
            ApiError: They do.

        """
        if self.stop_reason is not None:
            raise _after_the_end()

    def usage(self) -> dict[str, Any]:
        """Write the tokens used. All input is what was computed, plus what the cache had."""
        outcome = self._outcome
        return {
            "input_tokens": outcome.prompt_tokens - (outcome.cached_tokens or 0),
            # Nobody pays for what goes into the cache, so it is not told apart.
            "cache_creation_input_tokens": 0,
            # None is not known, which is not 0.
            "cache_read_input_tokens": outcome.cached_tokens,
            "output_tokens": outcome.completion_tokens,
            "output_tokens_details": {"thinking_tokens": outcome.reasoning_tokens},
        }


def _after_the_end() -> ApiError:
    return errors.broken_stream("an event after the last")


def empty_message(message_id: str, model: str, usage: dict[str, Any]) -> dict[str, Any]:
    """Write an answer before its first block.

    Args:
        message_id: The answer's id.
        model: The model's name as the client gave it.
        usage: The tokens used so far.

    """
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": usage | {"service_tier": "standard"},
    }
