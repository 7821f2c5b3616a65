"""One completion: from the engine's tokens to text, with stop strings found and cut off."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Literal

from inference_service.engine import frames
from inference_service.worker.interface import Output, Pipeline
from inference_service.worker.text import StopMatcher


@dataclass(frozen=True, slots=True)
class Piece:
    """What to say of a completion after a step; `reason` is set when it has ended.

    `tokens` counts those generated since the last piece with text or log-probabilities.
    """

    text: str
    tokens: int
    logprobs: tuple[frames.TokenLogprob, ...]
    reason: Literal["stop", "length"] | None
    matched_stop: str | None


@dataclass(frozen=True, slots=True)
class _Placed:
    """A token, and where in the completion its text begins, in characters."""

    logprob: frames.TokenLogprob
    start: int


class Completion:
    """Turns the outputs of one sequence into pieces.

    The pieces put together don't depend on how the tokens were grouped into outputs.

    Args:
        pipeline: The engine, for its detokenizer and the bytes of its tokens.
        request: What was asked.

    """

    def __init__(self, pipeline: Pipeline, request: frames.Submit) -> None:
        self._pipeline = pipeline
        self._detokenizer = pipeline.detokenizer(request.markers)
        self._stops = StopMatcher(request.sampling.stop)
        self._with_logprobs = request.sampling.logprobs
        self.tokens = 0
        self._unsaid_tokens = 0
        self._decoded = 0  # characters of text, those held back included
        self._said = 0
        self._unsaid: list[_Placed] = []

    def push(self, output: Output) -> Piece:
        """Take what a step made; after a piece with a reason nothing more is to be pushed."""
        text = ""
        matched: str | None = None
        last = len(output.token_ids) - 1
        for place, token_id in enumerate(output.token_ids):
            self.tokens += 1
            self._unsaid_tokens += 1
            start = self._decoded
            decoded = self._detokenizer.push((token_id,))
            self._decoded += len(decoded)
            ends_sequence = place == last and output.finish_reason == "stop"
            if self._with_logprobs and not ends_sequence:
                token = self._pipeline.token_bytes(token_id)
                logprob = frames.TokenLogprob(token_id, token, output.logprobs[place])
                self._unsaid.append(_Placed(logprob, start))
            if decoded:
                released, matched = self._stops.push(decoded)
                text += released
            if matched:
                break
        if output.finish_reason and not matched:
            rest = self._detokenizer.flush()
            self._decoded += len(rest)
            released, matched = self._stops.push(rest)
            text += released if matched else released + self._stops.flush()
        return self._piece(text, matched, output.finish_reason)

    def _piece(self, text: str, matched: str | None, finish_reason: str | None) -> Piece:
        self._said += len(text)
        reason: Literal["stop", "length"] | None = None
        if matched or finish_reason:
            reason = "length" if finish_reason == "length" and not matched else "stop"
        said = len(self._unsaid)
        if matched or not reason:
            # A token goes with the text that it begins in; none, if that is cut off.
            said = bisect.bisect_left(self._unsaid, self._said, key=lambda placed: placed.start)
        logprobs = tuple(placed.logprob for placed in self._unsaid[:said]) if text or reason else ()
        if logprobs:
            del self._unsaid[:said]
        tokens = self._unsaid_tokens
        if text or logprobs:
            self._unsaid_tokens = 0
        return Piece(text, tokens, logprobs, reason, matched)
