"""Reading text that comes in pieces, as if it were whole.

What reads is a generator: it yields where it needs more text, and goes on when there is more or
when there will be none. So a form is read as it is written, and how the text was cut has no effect.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
Sink: TypeAlias = Callable[[str], object]

_SPACE = re.compile(r"[ \t\n\r]*")
_QUOTE_OR_ESCAPE = re.compile(r'["\\]')
_BEYOND_SCALARS = re.compile(r"[^\s0-9a-zA-Z+\-.,:]")
_SCALAR = re.compile(r"[0-9a-zA-Z+\-.]*")
_CLOSING = {"{": "}", "[": "]"}


class Markers:
    """Texts to look for; none is the beginning of another."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.whole = re.compile("|".join(map(re.escape, texts)) or r"(?!)")
        beginnings = {text[:length] for text in texts for length in range(1, len(text))}
        alternatives = "|".join(map(re.escape, sorted(beginnings, key=len, reverse=True)))
        self.beginning = re.compile(rf"(?:{alternatives or '(?!)'})\Z")
        self.longest = max(map(len, texts), default=0)


class Scanner:
    """The text of one completion, read from its beginning.

    Reading costs time in proportion to the text, however it is cut.

    Attributes:
        text: What has come and may not have been read.
        position: Where in `text` the unread begins.
        ended: Whether no more will come.
        cut: Whether it ended where the bound on tokens was, so that more was to come.

    """

    __slots__ = ("_kept", "cut", "ended", "position", "text")

    def __init__(self) -> None:
        self.text = ""
        self.position = 0
        self.ended = False
        self.cut = False
        self._kept: list[str] | None = None

    def feed(self, text: str) -> None:
        """Add text at the end."""
        self.text = self.text[self.position :] + text
        self.position = 0

    def take(self, end: int) -> str:
        """Read up to the place `end` of `text`."""
        piece = self.text[self.position : end]
        self.position = end
        if self._kept is not None:
            self._kept.append(piece)
        return piece

    def keep(self) -> None:
        """Begin to remember what is read, in case it turns out not to be what it seems."""
        self._kept = []

    def release(self, *, marked: bool = True) -> str:
        """Return what was read since `keep`, or since `forget` nothing, and stop remembering.

        Args:
            marked: Whether it began with a marker. Then nothing is returned if the text was cut
                off in it: it is the beginning of what the marker says, and not text.

        """
        kept, self._kept = self._kept, None
        if marked and self.cut and self.position >= len(self.text):
            return ""
        return "".join(kept or ())

    def forget(self) -> None:
        """Stop remembering: what was read is what it seemed."""
        self._kept = None

    def peek(self) -> Steps[str]:
        """Return the next character without reading it; empty at the end."""
        while self.position >= len(self.text):
            if self.ended:
                return ""
            yield
        return self.text[self.position]

    def skip_space(self) -> Steps[None]:
        """Read white space, as JSON has it."""
        yield from self.run(_SPACE)

    def run(self, pattern: re.Pattern[str]) -> Steps[str]:
        """Read what the pattern, a repeated class of characters, matches here."""
        pieces: list[str] = []
        while True:
            match = pattern.match(self.text, self.position)
            if match:
                pieces.append(self.take(match.end()))
            if self.position < len(self.text) or self.ended:
                return "".join(pieces)
            yield

    def accept(self, literal: str) -> Steps[bool]:
        """Read a text if it comes next, or the part of it that was left when all was cut off."""
        while True:
            if self.text.startswith(literal, self.position):
                self.take(self.position + len(literal))
                return True
            come = self.text[self.position : self.position + len(literal)]
            if self.ended or not literal.startswith(come):
                if self.cut and literal.startswith(come):
                    self.take(len(self.text))
                return False
            yield

    def text_until(self, markers: Markers, sink: Sink) -> Steps[str]:
        """Pass text on as it comes, up to a marker.

        Returns:
            The marker, which is not read; empty if the text ended before one.

        """
        while True:
            text, position = self.text, self.position
            if match := markers.whole.search(text, position):
                if match.start() > position:
                    sink(self.take(match.start()))
                return match.group()
            end = len(text)
            if not self.ended and markers.longest:
                tail = max(position, end - markers.longest + 1)
                if held := markers.beginning.search(text, tail):
                    end = held.start()
            if end > position:
                sink(self.take(end))
            if self.ended:
                return ""
            yield

    def json_value(self, sink: Sink) -> Steps[bool]:
        """Pass a JSON value on as it comes, exactly as it is written.

        Only its end is looked for. What can't be JSON outside of a string ends it.

        Returns:
            Whether the value is whole.

        """
        first = yield from self.peek()
        if first not in ("{", "[", '"'):
            scalar = yield from self.run(_SCALAR)
            sink(scalar)
            return bool(scalar)
        closing: list[str] = []
        in_string = escaped = False
        while True:
            text, length, place = self.text, len(self.text), self.position
            while place < length:
                if escaped:
                    escaped = False
                    place += 1
                elif in_string:
                    found = _QUOTE_OR_ESCAPE.search(text, place)
                    if not found:
                        place = length
                        break
                    place = found.end()
                    escaped = found.group() == "\\"
                    in_string = escaped
                    if not in_string and not closing:
                        sink(self.take(place))
                        return True
                else:
                    found = _BEYOND_SCALARS.search(text, place)
                    if not found:
                        place = length
                        break
                    place = found.end()
                    character = found.group()
                    if character == '"':
                        in_string = True
                    elif character in _CLOSING:
                        closing.append(_CLOSING[character])
                    elif closing[-1] == character:
                        closing.pop()
                        if not closing:
                            sink(self.take(place))
                            return True
                    else:
                        sink(self.take(place - 1))
                        return False
            if place > self.position:
                sink(self.take(place))
            if self.ended:
                return False
            yield

    def json_string(self) -> Steps[str | None]:
        """Read a JSON string; `None` if what comes is none."""
        if (yield from self.peek()) != '"':
            return None
        pieces: list[str] = []
        if not (yield from self.json_value(pieces.append)):
            return None
        return decode_string("".join(pieces))


def decode_string(source: str) -> str | None:
    """Decode a JSON string with its quotes; `None` if it is none, or no Unicode text."""
    try:
        value = json.loads(source, strict=False)
        value.encode()  # half of a surrogate pair can't be sent
    except (ValueError, AttributeError):
        return None
    return str(value)
