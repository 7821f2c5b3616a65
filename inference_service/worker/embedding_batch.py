"""The requests of an embedding worker, computed together, a bounded number of tokens a step."""

from __future__ import annotations

import bisect
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.embedding import EmbeddingModel, Tokens, Vectors
from inference_service.worker.interface import RequestRefused

_TEXT_BYTES_A_STEP = 1 << 16
"""Text to tokenize in a step, unless the first is longer: some milliseconds."""

# Texts go to the tokenizer together, as each call costs as much as a long text; but few at a time
# and long ones alone, as it pads all to the length of the longest.
_TEXTS_A_CALL = 64
_LONG_TEXT = 1 << 12

_Entry: TypeAlias = tuple[int, str, str | tuple[int, ...]]
"""An input's place, its name for errors, and the input."""

_Key: TypeAlias = tuple[int, int]
"""Tokens, and a number of its own: inputs sort by length."""


@dataclass(slots=True)
class _Request:
    message: frames.Embed | frames.Rerank
    unread: deque[_Entry]
    rows: list[Vectors | None]
    missing: int
    tokens: int = 0
    waiting: dict[_Key, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Input:
    request: _Request
    index: int
    tokens: Tokens


class _Rejection(Exception):
    def __init__(self, answer: frames.Rejected) -> None:
        super().__init__(answer.message)
        self.answer = answer


class EmbeddingBatch:
    """The requests that a model works on.

    Requests take turns: each step has an input of the next request, and with it the inputs of any
    request whose length is nearest, as many as fit. So a large request delays a small one by one
    step, and little is computed that is padding.

    Args:
        model: The model.
        settings: Its settings; `max_num_batched_tokens` bounds a step, padding included, but for
            a single input that is longer.
        context_length: Tokens of an input at most.

    """

    def __init__(self, model: EmbeddingModel, settings: ModelSettings, context_length: int) -> None:
        self._model = model
        self._by_vectors = model.dimensions is not None
        self._step_tokens = settings.max_num_batched_tokens
        self._step_inputs = settings.max_num_seqs
        self._context_length = context_length
        self._requests: dict[int, _Request] = {}
        self._inputs: dict[_Key, _Input] = {}
        self._order: list[_Key] = []
        self._numbers = itertools.count()
        self.steps = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to step for."""
        return bool(self._requests)

    def submit(self, message: frames.Embed | frames.Rerank) -> None:
        """Take a request; the steps answer it."""
        texts: list[tuple[str, str | tuple[int, ...]]]
        if isinstance(message, frames.Embed):
            texts = [
                (f"texts[{i}]" if isinstance(text, str) else f"token_ids[{i}]", text)
                for i, text in enumerate(message.inputs)
            ]
        else:
            texts = [(f"documents[{i}]", text) for i, text in enumerate(message.documents)]
            if self._by_vectors:
                texts.append(("query", message.query))
        unread = deque((index, name, text) for index, (name, text) in enumerate(texts))
        self._requests[message.request_id] = _Request(
            message, unread, [None] * len(texts), len(texts)
        )

    def cancel(self, request_id: int) -> None:
        """Drop what has not run of a request; one that has ended already is no error."""
        request = self._requests.pop(request_id, None)
        if request and request.waiting:
            for key in request.waiting:
                del self._inputs[key]
            self._order = [key for key in self._order if key not in request.waiting]

    def step(self) -> list[frames.FromWorker]:
        """Tokenize some, do one forward pass, and return what is done, the counts last."""
        answers = self._tokenize()
        if self._order:
            keys = self._choose()
            inputs = [self._inputs.pop(key) for key in keys]
            rows = self._model.run([entry.tokens for entry in inputs])
            for key, entry, row in zip(keys, inputs, rows, strict=True):
                del entry.request.waiting[key]
                entry.request.rows[entry.index] = row
                entry.request.missing -= 1
            ended = {entry.request.message.request_id: entry.request for entry in inputs}
            for request_id, request in ended.items():
                if not request.missing:
                    del self._requests[request_id]
                    answers.append(_answer(request, by_vectors=self._by_vectors))
        self.steps += 1
        answers.append(frames.Progress(self.steps, 0, 0.0))
        return answers

    def _tokenize(self) -> list[frames.FromWorker]:
        answers: list[frames.FromWorker] = []
        room = _TEXT_BYTES_A_STEP
        for request_id, request in list(self._requests.items()):
            try:
                while request.unread and room > 0:
                    entries = _next_entries(request.unread)
                    room -= sum(len(text) for _, _, text in entries)
                    read = self._read(request.message, entries)
                    for (index, name, _), tokens in zip(entries, read, strict=True):
                        self._check_length(request.message, name, tokens)
                        self._add(request, index, tokens)
            except _Rejection as rejection:
                self.cancel(request_id)
                answers.append(rejection.answer)
        return answers

    def _add(self, request: _Request, index: int, tokens: Tokens) -> None:
        key = (len(tokens.ids), next(self._numbers))
        request.tokens += len(tokens.ids)
        request.waiting[key] = None
        self._inputs[key] = _Input(request, index, tokens)
        bisect.insort(self._order, key)

    def _read(
        self, message: frames.Embed | frames.Rerank, entries: Sequence[_Entry]
    ) -> list[Tokens]:
        """Turn inputs into tokens.

        Raises:
            _Rejection: One of them can't be read, or has no tokens or not the model's.

        """
        try:
            return self._encode(message, [text for _, _, text in entries])
        except RequestRefused as error:
            if len(entries) > 1:  # which one?
                return [tokens for entry in entries for tokens in self._read(message, [entry])]
            _, name, _ = entries[0]
            raise _Rejection(
                frames.Rejected(
                    message.request_id, "INVALID_ARGUMENT", f"{name}: {error}", {"field": name}
                )
            ) from error

    def _encode(
        self, message: frames.Embed | frames.Rerank, inputs: Sequence[str | tuple[int, ...]]
    ) -> list[Tokens]:
        texts = [text for text in inputs if isinstance(text, str)]
        if not texts:
            read = [Tokens(ids) for ids in inputs if not isinstance(ids, str)]
            foreign = (foreign_token(entry.ids, self._model.vocabulary_size) for entry in read)
            if problem := next(filter(None, foreign), None):
                raise RequestRefused(problem)
        elif isinstance(message, frames.Rerank) and not self._by_vectors:
            read = self._model.encode_pairs(message.query, texts)
        else:
            read = [Tokens(ids) for ids in self._model.encode(texts)]
        if not all(tokens.ids for tokens in read):
            raise RequestRefused("has no tokens")
        return read

    def _check_length(
        self, message: frames.Embed | frames.Rerank, name: str, tokens: Tokens
    ) -> None:
        """Refuse an input that the model can't take whole.

        Raises:
            _Rejection: It has too many tokens.

        """
        if len(tokens.ids) <= self._context_length:
            return
        what = name if tokens.second is None else f"{name}, with the query,"
        raise _Rejection(
            frames.Rejected(
                message.request_id,
                "CONTEXT_LENGTH_EXCEEDED",
                f"{what} has {len(tokens.ids)} tokens; the model takes {self._context_length}",
                {
                    "field": name,
                    "prompt_tokens": len(tokens.ids),
                    "context_length": self._context_length,
                },
            )
        )

    def _choose(self) -> list[_Key]:
        """Take the inputs of the next step out of those that wait."""
        request_id = next(i for i, request in self._requests.items() if request.waiting)
        request = self._requests.pop(request_id)
        self._requests[request_id] = request  # last now: the others' turn comes first
        order = self._order
        low = bisect.bisect_left(order, next(iter(request.waiting)))
        high = low + 1
        while high - low < self._step_inputs:
            count, longest = high - low + 1, order[high - 1][0]
            padding: list[tuple[int, bool]] = []
            if low > 0 and count * longest <= self._step_tokens:
                padding.append((longest - order[low - 1][0], False))
            if high < len(order) and count * order[high][0] <= self._step_tokens:
                padding.append(((order[high][0] - longest) * (count - 1), True))
            if not padding:
                break
            if min(padding)[1]:
                high += 1
            else:
                low -= 1
        chosen = order[low:high]
        del order[low:high]
        return chosen


def _next_entries(unread: deque[_Entry]) -> list[_Entry]:
    """Take inputs that may go to the tokenizer together off the beginning, at least one."""
    entries = [unread.popleft()]
    while unread and len(entries) < _TEXTS_A_CALL and len(entries[-1][2]) <= _LONG_TEXT:
        text = unread[0][2]
        if len(text) > _LONG_TEXT or isinstance(text, str) != isinstance(entries[0][2], str):
            break
        entries.append(unread.popleft())
    return entries


def _answer(request: _Request, *, by_vectors: bool) -> frames.Embedded | frames.Reranked:
    rows = np.stack([row for row in request.rows if row is not None])
    request_id = request.message.request_id
    if isinstance(request.message, frames.Embed):
        vectors = tuple(row.astype("<f4").tobytes() for row in rows)
        return frames.Embedded(request_id, vectors, request.tokens)
    # The last of the vectors is the query's; of unit length, their products are cosines.
    scores = np.clip(rows[:-1] @ rows[-1], 0, 1) if by_vectors else rows[:, 0]
    return frames.Reranked(request_id, tuple(scores.tolist()), request.tokens)


def foreign_token(token_ids: Sequence[int], vocabulary_size: int) -> str | None:
    """Say what is wrong with token ids; `None` if all are in the vocabulary."""
    wrong = next((token for token in token_ids if token >= vocabulary_size), None)
    return None if wrong is None else f"{wrong} is not in the vocabulary"
