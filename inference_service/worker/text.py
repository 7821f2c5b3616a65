"""Token ids to text, piece by piece: UTF-8 safe, and with stop strings held back."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

_NO_MARKERS: Mapping[int, str] = {}


class Detokenizer(Protocol):
    """Turns the tokens of one completion into text as they come."""

    def push(self, token_ids: Sequence[int]) -> str:
        """Return the text that these tokens complete; a split character waits for its rest."""
        ...

    def flush(self) -> str:
        """Return what waits at the end; a character cut off by the end is left out."""
        ...


class TableDetokenizer:
    """Looks tokens up in a table of their bytes: exact and cheap for byte-level vocabularies.

    Args:
        table: The bytes of each token id; empty for special tokens.
        markers: The texts of the special tokens that are to be seen, by id.

    """

    def __init__(self, table: Sequence[bytes], markers: Mapping[int, str] = _NO_MARKERS) -> None:
        self._table = table
        self._markers = {token_id: text.encode() for token_id, text in markers.items()}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_ids: Sequence[int]) -> str:
        """See `Detokenizer`."""
        table = self._table
        if self._markers:
            return self._decoder.decode(b"".join([self._bytes(i) for i in token_ids]))
        try:
            data = b"".join([table[token_id] for token_id in token_ids])
        except IndexError:  # a model may generate ids that only pad its vocabulary
            data = b"".join([table[i] for i in token_ids if i < len(table)])
        return self._decoder.decode(data)

    def flush(self) -> str:
        """See `Detokenizer`."""
        return ""  # only a character that was cut off waits

    def _bytes(self, token_id: int) -> bytes:
        marker = self._markers.get(token_id)
        if marker is not None:
            return marker
        return self._table[token_id] if token_id < len(self._table) else b""


class WindowDetokenizer:
    """Decodes a sliding window of tokens with the tokenizer itself: for vocabularies whose tokens
    have no bytes of their own, such as those where a leading space depends on the position.

    Args:
        decode: The tokenizer's decoding of token ids, special tokens skipped.
        markers: The texts of the special tokens that are to be seen, by id.

    """  # noqa: D205

    def __init__(
        self, decode: Callable[[list[int]], str], markers: Mapping[int, str] = _NO_MARKERS
    ) -> None:
        self._decode = decode
        self._markers = markers
        self._ids: list[int] = []  # from the start of the last text given out
        self._given = 0  # how many of them that text covers

    def push(self, token_ids: Sequence[int]) -> str:
        """See `Detokenizer`."""
        text = ""
        plain: list[int] = []
        for token_id in token_ids:
            marker = self._markers.get(token_id)
            if marker is None:
                plain.append(token_id)
                continue
            # What comes after the marker is decoded as what comes after the text before it.
            text += self._push(plain) + self.flush() + marker
            self._given = len(self._ids)
            plain = []
        return text + self._push(plain)

    def _push(self, token_ids: Sequence[int]) -> str:
        self._ids.extend(token_ids)
        before = self._decode(self._ids[: self._given])
        now = self._decode(self._ids)
        if len(now) <= len(before) or now.endswith("\ufffd"):
            return ""
        del self._ids[: self._given]
        self._given = len(self._ids)
        return now[len(before) :]

    def flush(self) -> str:
        """See `Detokenizer`."""
        text = self._decode(self._ids)[len(self._decode(self._ids[: self._given])) :]
        return text.rstrip("\ufffd")


class StopMatcher:
    """Finds the first stop string in a text that comes in pieces; holds back what may begin one.

    The first is the one that is complete first; of two complete at once, the one that began first.
    So the result doesn't depend on how the text is cut.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""

    def push(self, text: str) -> tuple[str, str | None]:
        """Take a piece of text.

        Returns:
            The text that is certainly not part of a stop string, and the stop string if one is
            complete; then nothing more is to be pushed.

        """
        if not self._stops:
            return text, None
        text = self._held + text
        found: tuple[int, int, str] | None = None
        for stop in self._stops:
            start = text.find(stop)
            if start >= 0 and (found is None or (start + len(stop), start) < found[:2]):
                found = (start + len(stop), start, stop)
        if found:
            self._held = ""
            return text[: found[1]], found[2]
        hold = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold], None

    def flush(self) -> str:
        """Return what was held back, at the end of the completion."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest proper beginning of `stop` that ends `text`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
