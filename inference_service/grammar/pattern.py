"""Regular expressions, as ECMA-262 writes them and JSON Schema uses them, read into a tree.

A grammar has no groups to remember and can't look around, so what needs that is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from inference_service.grammar.ebnf import ALL, Ranges, chars, intersect, ranges, without
from inference_service.grammar.problem import Problem

MAX_REPEAT = 1 << 16
_MAX_GROUPS = 32  # within each other
_MAX_DIGITS = 100  # of a count, zeros before it included

DIGIT = ranges((0x30, 0x39))
WORD = ranges((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE = ranges(
    *chars("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), (0x2000, 0x200A)
)
_LINE_ENDS = chars("\n\r\u2028\u2029")
_SETS = {"d": DIGIT, "w": WORD, "s": SPACE}
_CONTROLS = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "0": "\0"}
_PUNCTUATION = frozenset("^$\\.*+?()[]{}|/-&~!#%,:;<=>@_`'\" ")


@dataclass(frozen=True, slots=True)
class Chars:
    """Any one of these characters."""

    characters: Ranges


@dataclass(frozen=True, slots=True)
class Text:
    """These characters, one after another."""

    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """All of these, one after another."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Any one of these."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The item, from `least` to `most` times; `None` is any number."""

    item: Node
    least: int
    most: int | None


Node: TypeAlias = Chars | Text | Sequence | Either | Repeat


def parse(pattern: str) -> Node:
    """Return the tree of an expression, which is to match a text from its beginning to its end.

    Raises:
        Problem: It is no expression, or needs what a grammar can't do.

    """
    reader = _Reader(pattern)
    node = reader.alternatives(first=True, depth=0)
    if reader.more:
        reader.fail("a ) that closes nothing")
    return node


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._anchors = 0  # how many were read
        self._ended = False  # a $ was read: nothing may follow on this path

    @property
    def more(self) -> bool:
        return self._at < len(self._text)

    def fail(self, what: str) -> NoReturn:
        raise Problem(f"the expression has {what}, at character {self._at + 1}")

    def _starts(self, prefix: str) -> bool:
        return self._text.startswith(prefix, self._at)

    def _take(self, prefix: str) -> bool:
        taken = self._starts(prefix)
        if taken:
            self._at += len(prefix)
        return taken

    def alternatives(self, *, first: bool, depth: int) -> Node:
        """Read up to the end or a closing parenthesis; `first`: nothing is before it."""
        if depth > _MAX_GROUPS:
            self.fail(f"more than {_MAX_GROUPS} groups within each other")
        options: list[Node] = []
        ended = False
        while True:
            self._ended = False
            options.append(self._sequence(first=first, depth=depth))
            ended |= self._ended
            if not self._take("|"):
                break
        self._ended = ended
        return options[0] if len(options) == 1 else Either(tuple(options))

    def _sequence(self, *, first: bool, depth: int) -> Node:
        items: list[Node] = []
        while self.more and not self._starts("|") and not self._starts(")"):
            if self._starts("^"):
                if not first or items:
                    self.fail("a ^ that is not at its beginning")
                self._at += 1
                self._anchors += 1
                continue
            if self._take("$"):
                self._ended = True
                self._anchors += 1
                continue
            if self._ended:
                self.fail("something after a $")
            anchors = self._anchors
            item = self._atom(first=first and not items, depth=depth)
            items.append(self._repeated(item, anchored=self._anchors > anchors))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _atom(self, *, first: bool, depth: int) -> Node:
        character = self._text[self._at]
        if character in "*+?":
            self.fail(f"a {character} that repeats nothing")
        if self._take("("):
            self._group_kind()
            node = self.alternatives(first=first, depth=depth + 1)
            if not self._take(")"):
                self.fail("a ( that is not closed")
            return node
        if self._take("["):
            return Chars(self._class())
        if self._take("\\"):
            return Chars(self._escape(in_class=False))
        self._at += 1
        return Chars(without(ALL, _LINE_ENDS) if character == "." else chars(character))

    def _group_kind(self) -> None:
        if not self._take("?"):
            return
        if self._take(":"):
            return
        for prefix in ("=", "!", "<=", "<!"):
            if self._starts(prefix):
                self.fail("a look-around, which can't be enforced")
        if self._take("<") or self._take("P<"):
            end = self._text.find(">", self._at)
            if end < 0 or not self._text[self._at : end].isidentifier():
                self.fail("a group with no proper name")
            self._at = end + 1
            return
        self.fail("a flag, which can't be enforced")

    def _repeated(self, item: Node, *, anchored: bool) -> Node:
        bounds: tuple[int, int | None] | None = None
        if self._take("*"):
            bounds = (0, None)
        elif self._take("+"):
            bounds = (1, None)
        elif self._take("?"):
            bounds = (0, 1)
        elif self._starts("{"):
            bounds = self._counts()
        if bounds is None:
            return item
        self._take("?")  # lazy or greedy: the same texts match
        if self.more and (self._text[self._at] in "*+?"):
            self.fail("a repetition of a repetition")
        if anchored:
            self.fail("a repetition of an anchor")
        return Repeat(item, *bounds)

    def _counts(self) -> tuple[int, int | None] | None:
        """Read {m}, {m,} or {m,n}; anything else in braces is text."""
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : max(end, self._at + 1)].partition(",")
        if not (least.isascii() and least.isdigit()):
            return None
        if most and not (most.isascii() and most.isdigit()):
            return None
        if max(len(least), len(most)) > _MAX_DIGITS:  # Python reads only so many
            self.fail(f"a repetition of more than {_MAX_DIGITS} digits")
        low = int(least)
        high = (int(most) if most else None) if comma else low
        if max(low, high or 0) > MAX_REPEAT:
            self.fail(f"a repetition of more than {MAX_REPEAT} times")
        if high is not None and low > high:
            self.fail("a repetition whose least is more than its most")
        self._at = end + 1
        return low, high

    def _class(self) -> Ranges:
        negated = self._take("^")
        parts: list[tuple[int, int]] = []
        if self._starts("]"):
            self.fail("an empty class")
        while not self._take("]"):
            if not self.more:
                self.fail("a [ that is not closed")
            if self._starts("[:"):
                self.fail("a named class, which is not ECMA-262's")
            low = self._class_item()
            if self._starts("-") and not self._starts("-]"):
                self._at += 1
                high = self._class_item() if self.more else low
                single = len(low) == len(high) == 1 and low[0][0] == low[0][1]
                if not single or high[0][0] != high[0][1] or low[0][0] > high[0][0]:
                    self.fail("a range whose ends are no characters in order")
                low = intersect(ALL, ((low[0][0], high[0][0]),))
            parts.extend(low)
        found = ranges(*parts)
        found = without(ALL, found) if negated else found
        if not found:
            self.fail("a class that no character is in")
        return found

    def _class_item(self) -> Ranges:
        if self._take("\\"):
            return self._escape(in_class=True)
        self._at += 1
        return chars(self._text[self._at - 1])

    def _escape(self, *, in_class: bool) -> Ranges:
        if not self.more:
            self.fail("a \\ at its end")
        letter = self._text[self._at]
        self._at += 1
        if letter.lower() in _SETS:
            found = _SETS[letter.lower()]
            return without(ALL, found) if letter.isupper() else found
        if letter in _CONTROLS:
            if letter == "0" and self.more and self._text[self._at].isdigit():
                self.fail("an octal escape")
            return chars(_CONTROLS[letter])
        if in_class and letter == "b":
            return chars("\b")
        if letter in ("x", "u"):
            return self._code(letter)
        if letter == "c" and self.more and self._text[self._at].isascii():
            self._at += 1
            if self._text[self._at - 1].isalpha():
                return chars(chr(ord(self._text[self._at - 1]) % 32))
        if letter not in _PUNCTUATION:
            self.fail(f"\\{letter}, which can't be enforced")
        return chars(letter)

    def _code(self, letter: str) -> Ranges:
        """Read the digits of xHH, uHHHH or u{H}."""
        if letter == "u" and self._take("{"):
            end = self._text.find("}", self._at)
            digits = self._text[self._at : max(end, self._at)]
            self._at = end + 1
        else:
            count = 2 if letter == "x" else 4
            digits = self._text[self._at : self._at + count].ljust(count, "?")
            self._at += count
        if not digits or len(digits) > 6 or any(c not in "0123456789abcdefABCDEF" for c in digits):
            self.fail(f"a \\{letter} without its digits")
        code = int(digits, 16)
        if not intersect(ALL, ((code, code),)):
            self.fail("a code that is no character")
        return ((code, code),)
