"""What a completion's text turned out to be: content, reasoning, calls of tools."""

from __future__ import annotations

import secrets
from dataclasses import replace

from inference_service.domain import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)


class Output:
    """Collects the events of one completion.

    White space around calls, and around reasoning, is left out. Tokens belong to what came of the
    text they came with, divided by its length where that is several things; those of a marker
    belong to what comes next, and those of a call to no event.

    Args:
        parallel: Whether there may be several calls; else those after the first are left out.

    """

    def __init__(self, *, parallel: bool) -> None:
        self._parallel = parallel
        self._parts: list[tuple[type[TextDelta | ReasoningDelta] | ToolCallDelta, str]] = []
        self._space = ""
        self._trim = False
        self._calls = 0
        self._said = False
        self._muted = False
        self._tokens = 0
        self._logprobs: tuple[TokenLogprob, ...] = ()
        self._reasoning_tokens = 0
        self._reasoning = False

    def text(self, text: str) -> None:
        """Add to the content."""
        self._add(TextDelta, text)

    def paragraph(self) -> None:
        """Part what follows from the content so far."""
        self._break()
        if self._said:
            self._space = "\n\n"

    def begin_reasoning(self) -> None:
        """Say that reasoning begins."""
        self._reasoning = True
        self._break()

    def reasoning(self, text: str) -> None:
        """Add to the reasoning."""
        self._add(ReasoningDelta, text)

    def end_reasoning(self) -> None:
        """Say that what follows isn't reasoning."""
        self._reasoning = False
        self._break()

    def call(self, name: str) -> None:
        """Begin a call of a function."""
        self._break()
        self._muted = self._calls > 0 and not self._parallel
        if not self._muted:
            identity = f"call_{secrets.token_hex(12)}"
            self._parts.append((ToolCallDelta(0, self._calls, identity, name, ""), ""))
            self._calls += 1

    def arguments(self, piece: str) -> None:
        """Add to the arguments of the call."""
        if piece and not self._muted:
            self._parts.append((ToolCallDelta(0, self._calls - 1, None, None, piece), piece))

    def events(self, delta: TextDelta) -> list[Event]:
        """Return the events since the last time, which the text of a delta made."""
        self._tokens += delta.tokens
        self._logprobs += delta.logprobs
        if not self._parts:
            return []
        if len(self._parts) == 1:
            kind, text = self._parts.pop()
            return [self._event(delta.index, kind, text, self._tokens)]
        return self._divided(delta.index)

    def finished(self, finished: Finished) -> list[Event]:
        """Return the last events of the completion."""
        if self._space and not self._trim:
            kind = ReasoningDelta if self._reasoning else TextDelta
            self._parts.append((kind, self._space))
        events = self._divided(finished.index) if self._parts else []
        if self._reasoning:
            self._reasoning_tokens += self._tokens
        if self._logprobs:
            last = ReasoningDelta if self._reasoning else TextDelta
            events.append(last(finished.index, "", self._tokens, self._logprobs))
        reason = finished.reason
        if self._calls and reason is FinishReason.STOP:
            reason = FinishReason.TOOL_CALLS
        events.append(replace(finished, reason=reason, reasoning_tokens=self._reasoning_tokens))
        return events

    def _break(self) -> None:
        self._space = ""
        self._trim = True

    def _add(self, kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        """Add text, but hold white space back until it is known what follows it."""
        if self._trim:
            text = text.lstrip()
            if not text:
                return
            self._trim = False
        if self._space:
            text = self._space + text
            self._space = ""
        if text[-1:].isspace():
            kept = text.rstrip()
            self._space = text[len(kept) :]
            text = kept
        if text:
            self._said = self._said or kind is TextDelta
            self._parts.append((kind, text))

    def _divided(self, index: int) -> list[Event]:
        """Turn the parts into events, adjacent ones of a kind joined, and divide the tokens."""
        joined: list[tuple[type[TextDelta | ReasoningDelta] | ToolCallDelta, str]] = []
        for kind, text in self._parts:
            if joined and not isinstance(kind, ToolCallDelta) and joined[-1][0] is kind:
                joined[-1] = (kind, joined[-1][1] + text)
            else:
                joined.append((kind, text))
        self._parts.clear()
        left = sum(len(text) for _, text in joined)
        events: list[Event] = []
        for kind, text in joined:
            share = round(self._tokens * len(text) / left) if left else 0
            events.append(self._event(index, kind, text, share))
            left -= len(text)
        return events

    def _event(
        self,
        index: int,
        kind: type[TextDelta | ReasoningDelta] | ToolCallDelta,
        text: str,
        tokens: int,
    ) -> Event:
        self._tokens -= tokens
        logprobs = self._logprobs
        if logprobs:
            count = tokens if self._tokens else len(logprobs)
            logprobs, self._logprobs = logprobs[:count], logprobs[count:]
        if isinstance(kind, ToolCallDelta):
            return replace(kind, index=index) if index else kind
        if kind is ReasoningDelta:
            self._reasoning_tokens += tokens
        return kind(index, text, tokens, logprobs)
