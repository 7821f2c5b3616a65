"""How a request ended: the finish reasons and the tokens of its completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openvino_server.v1 import inference_pb2

from rest_gateway.openai import errors

_FINISH_REASONS: Mapping[int, str] = {
    inference_pb2.FINISH_REASON_STOP: "stop",
    inference_pb2.FINISH_REASON_LENGTH: "length",
    inference_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
}


class Outcome:
    """Adds up what the events say of a request's end.

    Args:
        completions: How many completions the request asked for.

    Attributes:
        finish_reasons: Of each completion that has ended, in OpenAI's words, by its index.
        prompt_tokens: Tokens of the prompt, or of all prompts.
        completion_tokens: Tokens generated, of all completions.
        cached_tokens: Prompt tokens taken from the prefix cache; None is not known.
        reasoning_tokens: Of the tokens generated, those of reasoning.

    """

    def __init__(self, completions: int = 1) -> None:
        self.finish_reasons: dict[int, str] = {}
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cached_tokens: int | None = None
        self.reasoning_tokens = 0
        self._completions = completions

    @property
    def complete(self) -> bool:
        """Whether every completion has ended."""
        return len(self.finish_reasons) == self._completions

    def start(self, started: inference_pb2.Started) -> None:
        """Take the first event of a prompt."""
        self.prompt_tokens += started.prompt_tokens
        if started.HasField("cached_tokens"):
            self.cached_tokens = (self.cached_tokens or 0) + started.cached_tokens

    def finish(self, index: int, finished: inference_pb2.Finished) -> str:
        """Take the last event of a completion.

        Returns:
            Why it ended, in OpenAI's words.

        Raises:
            ApiError: The service gave a reason that this gateway doesn't know.

        """
        reason = _FINISH_REASONS.get(finished.reason)
        if reason is None:
            raise errors.broken_stream(f"finish reason {finished.reason}")
        self.finish_reasons[index] = reason
        if self.cached_tokens is None and finished.usage.HasField("cached_tokens"):
            self.cached_tokens = finished.usage.cached_tokens
        self.completion_tokens += finished.usage.completion_tokens
        self.reasoning_tokens += finished.usage.reasoning_tokens
        return reason

    def check_complete(self) -> None:
        """Tell a stream that ended before its completions.

        Raises:
            ApiError: It did.

        """
        if not self.complete:
            raise errors.broken_stream("the end, before the completion ended")

    def usage(self) -> dict[str, Any]:
        """Write the tokens used as the `usage` of OpenAI's completions."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            # None is not known, which is not 0.
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }
