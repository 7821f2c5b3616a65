r"""Grammars that requests bring, in the GBNF that xgrammar 0.1.31 reads.

Source: `cpp/grammar_parser.cc` of xgrammar at that version. What has other meanings there than in
llama.cpp is read as there: `\x` takes all hexadecimal digits that follow, and an alternative is
not empty but `""`. Lookahead assertions and `TagDispatch` are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias

from inference_service.grammar.ebnf import ALL, Ranges, intersect, ranges, without
from inference_service.grammar.pattern import MAX_REPEAT
from inference_service.grammar.problem import Problem

Kind: TypeAlias = Literal["characters", "text", "sequence", "either", "repeat", "rule"]

ROOT = "root"
_MAX_GROUPS = 64  # within each other
_MAX_DIGITS = 10
# None of these gives back what it took, so that each reads a text but once.
_SPACE = re.compile(r"(?:[ \t\r\n]++|#[^\r\n]*+)*+")
_NAME = re.compile(r"[A-Za-z_.\-][A-Za-z0-9_.\-]*+")
_DEFINED = re.compile(_SPACE.pattern + "::=")
_TEXT = re.compile(r'"((?:[^"\\\r\n]|\\[^\r\n])*+)"')
_CLASS = re.compile(r"\[((?:[^\]\\\r\n]|\\[^\r\n])*+)\]")
_COUNTS = re.compile(r"\{[ \t\r\n]*([0-9]+)[ \t\r\n]*(?:(,)[ \t\r\n]*([0-9]*)[ \t\r\n]*)?\}")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]+)|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_LETTERS = dict(zip("'\"?\\abfnrtv0e", "'\"?\\\a\b\f\n\r\t\v\0\x1b", strict=True))
_IN_CLASS = _LETTERS | {character: character for character in "^$\\.*+?()[]{}|/-"}
_REPEATS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a rule.

    Attributes:
        kind: What it is.
        at: Where it begins in the source.
        form: The same number for parts that are written the same.
        items: The numbers of the parts that it is made of, all lower than its own.
        text: Of a text.
        name: Of the rule that it stands for.
        least: How often a repetition's item comes at least.
        most: How often at most; `None` for any number.

    """

    kind: Kind
    at: int
    form: int
    items: tuple[int, ...] = ()
    text: str = ""
    name: str = ""
    least: int = 1
    most: int | None = 1


@dataclass(slots=True)
class Gbnf:
    """A grammar as it is written.

    Attributes:
        source: Its text.
        parts: All parts of all rules, each after what it is made of.
        rules: The part that is each rule's body, by name.
        places: Where each rule begins in the source.

    """

    source: str
    parts: list[Part] = field(default_factory=list)
    rules: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def fail(self, what: str, at: int) -> NoReturn:
        """Say what is wrong at a place of the source, by line and column from 1."""
        lines = re.split(r"\r\n|\r|\n", self.source[:at])
        raise Problem(f"line {len(lines)}, column {len(lines[-1]) + 1}: {what}")


def parse(source: str) -> Gbnf:
    """Return a grammar's rules; each that is referred to is defined.

    Raises:
        Problem: It is no GBNF, or it has what isn't supported; the message says where.

    """
    return _Reader(source).grammar()


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._ended = 0  # where the last token did
        self._read = Gbnf(source)
        self._forms: dict[object, int] = {}

    def grammar(self) -> Gbnf:
        for character in ("\0", "\ufeff"):
            if (at := self._source.find(character)) >= 0:
                self._read.fail(f"U+{ord(character):04X} is no part of a grammar", at)
        self._skip()
        while self._at < len(self._source):
            self._rule()
        if ROOT not in self._read.rules:
            raise Problem(f'there is no rule "{ROOT}"')
        for part in self._read.parts:
            if part.kind == "rule" and part.name not in self._read.rules:
                self._read.fail(f'Rule "{part.name}" is not defined', part.at)
        return self._read

    def _fail(self, what: str) -> NoReturn:
        self._read.fail(what, self._at)

    def _skip(self) -> None:
        if match := _SPACE.match(self._source, self._at):
            self._at = match.end()

    def _next(self) -> str:
        return self._source[self._at : self._at + 1]

    def _take(self, prefix: str) -> bool:
        """Read a token if it comes next, and the space after it."""
        taken = self._source.startswith(prefix, self._at)
        if taken:
            self._at += len(prefix)
            self._ended = self._at
            self._skip()
        return taken

    def _add(self, kind: Kind, at: int, items: tuple[int, ...] = (), **what: object) -> int:
        forms = tuple(self._read.parts[item].form for item in items)
        form = self._forms.setdefault((kind, forms, *what.items()), len(self._forms))
        self._read.parts.append(Part(kind, at, form, items, **what))  # type: ignore[arg-type]
        return len(self._read.parts) - 1

    def _rule(self) -> None:
        start = self._at
        match = _NAME.match(self._source, self._at)
        if match is None:
            self._fail("expected a rule's name")
        name = match[0]
        if name in ("true", "false", "TagDispatch"):
            self._fail(f'a rule can\'t be named "{name}"')
        if name in self._read.rules:
            self._fail(f'Rule "{name}" is defined multiple times')
        if self._read.rules and not re.search("[\r\n]", self._source[self._ended : start]):
            self._fail("a rule has to begin its line")
        self._at = match.end()
        self._skip()
        if not self._take("::="):
            self._fail(f'expected ::= after "{name[:60]}"')
        self._read.rules[name] = -1
        self._read.places[name] = start
        self._read.rules[name] = self._either(0)
        if self._source.startswith("(=", self._at):
            self._fail("lookahead assertions are not supported")
        if self._next() == ")":
            self._fail("a ) that closes nothing")

    def _either(self, depth: int) -> int:
        if depth > _MAX_GROUPS:
            self._fail(f"more than {_MAX_GROUPS} groups within each other")
        start = self._at
        options = [self._sequence(depth)]
        while self._take("|"):
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else self._add("either", start, tuple(options))

    def _sequence(self, depth: int) -> int:
        start = self._at
        items: list[int] = []
        while not self._ends():
            items.append(self._repeated(self._item(depth)))
        if not items:
            self._fail('expected an expression; nothing is written ""')
        return items[0] if len(items) == 1 else self._add("sequence", start, tuple(items))

    def _ends(self) -> bool:
        """Tell whether a sequence ends here: at a bar, a parenthesis, or the next rule."""
        if self._next() in ("", "|", ")") or self._source.startswith("(=", self._at):
            return True
        name = _NAME.match(self._source, self._at)
        return bool(name and _DEFINED.match(self._source, name.end()))

    def _item(self, depth: int) -> int:
        start = self._at
        match self._next():
            case "(":
                self._take("(")
                if self._take(")"):
                    return self._add("text", start, text="")
                inner = self._either(depth + 1)
                if not self._take(")"):
                    self._fail("expected a ) here")
                return inner
            case '"':
                return self._literal()
            case "[":
                return self._characters()
        match = _NAME.match(self._source, self._at)
        if match is None:
            self._fail(f"expected an expression, but there is {self._next()!r}")
        if match[0] in ("true", "false", "TagDispatch"):
            self._fail(f"{match[0]} is not supported")
        self._take(match[0])
        return self._add("rule", start, name=match[0])

    def _literal(self) -> int:
        start = self._at
        match = _TEXT.match(self._source, start)
        if match is None:
            self._fail('a " that is not closed in its line')
        text = "".join(chr(code) for code, _ in self._codes(match, _LETTERS))
        self._take(match[0])
        return self._add("text", start, text=text)

    def _characters(self) -> int:
        start = self._at
        match = _CLASS.match(self._source, start)
        if match is None:
            self._fail("a [ that is not closed in its line")
        codes = self._codes(match, _IN_CLASS)
        negated = bool(codes) and codes[0] == (ord("^"), True)
        found = self._ranges(codes[1:] if negated else codes)
        found = without(ALL, found) if negated and found else found
        if not found:
            self._fail("a class that no character is in")
        self._take(match[0])
        return self._add("characters", start, text=repr(found))

    def _ranges(self, codes: list[tuple[int, bool]]) -> Ranges:
        parts: list[tuple[int, int]] = []
        place = 0
        while place < len(codes):
            low = high = codes[place][0]
            if codes[place + 1 : place + 2] == [(ord("-"), True)] and place + 2 < len(codes):
                high = codes[place + 2][0]
                place += 2
            if low > high:
                self._fail("a class with a range whose ends are not in order")
            parts.append((low, high))
            place += 1
        return intersect(ALL, ranges(*parts))

    def _codes(self, match: re.Match[str], letters: dict[str, str]) -> list[tuple[int, bool]]:
        """Return the characters within quotes or brackets, and whether each is written as such."""
        codes: list[tuple[int, bool]] = []
        at = match.start(1)
        while at < match.end(1):
            code, plain = ord(self._source[at]), self._source[at] != "\\"
            end = at + 1
            if not plain:
                escape = _ESCAPE.match(self._source, at, match.end(1))
                digits = escape and (escape[1] or escape[2] or escape[3])
                if escape is None or not (digits or escape[4] in letters):
                    self._read.fail(f"{self._source[at : at + 2]} is not an escape here", at)
                digits = (digits or f"{ord(letters[escape[4]]):x}").lstrip("0") or "0"
                code, end = int(digits[:7], 16), escape.end()
            if not intersect(ALL, ((code, code),)):
                self._read.fail("a code that is no character", at)
            codes.append((code, plain))
            at = end
        return codes

    def _repeated(self, item: int) -> int:
        start = self._read.parts[item].at
        bounds = _REPEATS.get(self._next())
        if bounds:
            self._take(self._next())
        elif self._next() == "{":
            bounds = self._counts()
        if bounds is None or bounds == (1, 1):
            return item
        return self._add("repeat", start, (item,), least=bounds[0], most=bounds[1])

    def _counts(self) -> tuple[int, int | None]:
        match = _COUNTS.match(self._source, self._at)
        if match is None:
            self._fail("expected {m}, {m,} or {m,n}")
        if max(len(match[1]), len(match[3] or "")) > _MAX_DIGITS:
            self._fail(f"a repetition of more than {MAX_REPEAT} times")
        least = int(match[1])
        most = (int(match[3]) if match[3] else None) if match[2] else least
        if max(least, most or 0) > MAX_REPEAT:
            self._fail(f"a repetition of more than {MAX_REPEAT} times")
        if most is not None and (most < least or most == 0):
            self._fail("a repetition of no times, or whose least is more than its most")
        self._take(match[0])
        return least, most
