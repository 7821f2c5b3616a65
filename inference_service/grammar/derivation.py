"""How rules of a grammar derive texts: none, the empty one twice, or themselves at their left.

xgrammar follows all ways to derive a text at once (an Earley parser, in the steps of the engine),
so that a grammar with many ways to the same text holds up all streams of a batch. Whether a grammar
has them can't be decided in general; what is found here is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from inference_service.grammar.cycles import cycles
from inference_service.grammar.gbnf import ROOT, Gbnf, Part

Needs: TypeAlias = tuple[int, tuple[int, ...]]
"""Of how many of which parts something has to be true, for it to be true of a part."""
Before: TypeAlias = tuple[int, bool]
"""What comes before: how many parts that aren't empty, and whether all is one repetition."""

_TRUE: Needs = (0, ())
_NEVER: Needs = (1, ())


def check(grammar: Gbnf) -> None:
    """Return if each rule derives texts, and no shape known to be ambiguous is there.

    Raises:
        Problem: A rule derives no text, is left-recursive, is empty in more than one way, or
            repeats a repetition.

    """
    _Derivations(grammar).check()


class _Derivations:
    def __init__(self, grammar: Gbnf) -> None:
        self._grammar = grammar
        self._parts = grammar.parts
        self._nullable = self._fixpoint(_nullable)
        self._endless: list[bool] = [False] * len(self._parts)

    def check(self) -> None:
        self._check_productive()
        self._check_empty()
        self._check_left_recursion()
        looping = self._looping()
        self._endless = self._fixpoint(lambda part: self._is_endless(part, looping))
        self._check_repetitions()
        self._check_tails()
        self._check_neighbours()

    def _body(self, name: str) -> int:
        return self._grammar.rules[name]

    def _fixpoint(self, needs: Callable[[Part], Needs]) -> list[bool]:
        """Find of which parts something is true, in time linear in the grammar."""
        missing: list[int] = []
        users: list[list[int]] = [[] for _ in self._parts]
        for number, part in enumerate(self._parts):
            if part.kind == "rule":
                wanted: Needs = (1, (self._body(part.name),))
            else:
                wanted = needs(part)
            count, inputs = wanted
            missing.append(count)
            for item in inputs:
                users[item].append(number)
        waiting = [number for number, count in enumerate(missing) if count == 0]
        true = [count == 0 for count in missing]
        while waiting:
            for user in users[waiting.pop()]:
                missing[user] -= 1
                if missing[user] == 0:
                    true[user] = True
                    waiting.append(user)
        return true

    def _check_productive(self) -> None:
        productive = self._fixpoint(_productive)
        for name, body in self._grammar.rules.items():
            if not productive[body]:
                self._fail_rule(name, "can't produce any text, as it never ends")
        if not self._fixpoint(_more_than_empty)[self._body(ROOT)]:
            self._fail_rule(ROOT, "can't produce any text but the empty one")

    def _fail_rule(self, name: str, what: str) -> None:
        self._grammar.fail(f'Rule "{name}" {what}', self._grammar.places[name])

    def _check_empty(self) -> None:
        for part in self._parts:
            empty = sum(self._nullable[item] for item in part.items)
            if part.kind == "either" and empty > 1:
                self._grammar.fail("alternatives that can be empty in more than one way", part.at)
            if part.kind == "repeat" and empty:
                self._grammar.fail("a repetition of what can be empty", part.at)

    def _check_left_recursion(self) -> None:
        graph = {name: list(self._leftmost(body)) for name, body in self._grammar.rules.items()}
        for group in cycles(graph):
            others = ", ".join(f'"{name}"' for name in group[1:4])
            through = f", through {others}" if others else ""
            self._fail_rule(group[0], f"can begin with itself (left recursion){through}")

    def _leftmost(self, body: int) -> Iterator[str]:
        """Find the rules that a part can begin with."""
        waiting = [body]
        while waiting:
            part = self._parts[waiting.pop()]
            if part.kind == "rule":
                yield part.name
            for item in part.items:
                waiting.append(item)
                if part.kind == "sequence" and not self._nullable[item]:
                    break

    def _looping(self) -> frozenset[int]:
        """Find the bodies of rules that end with themselves, and so are repetitions."""
        graph = {name: [s for s, _ in self._tails(b)] for name, b in self._grammar.rules.items()}
        loops = {name for group in cycles(graph) for name in group}
        found = set()
        for name in loops:
            body = self._body(name)
            if self._nullable[body] or self._ends_as_it_repeats(name):
                found.add(self._parts[body].form)
        return frozenset(found)

    def _ends_as_it_repeats(self, name: str) -> bool:
        """Tell whether a rule is `x r | x` or `x r?`."""
        body = self._parts[self._body(name)]
        options = [self._parts[i] for i in body.items] if body.kind == "either" else [body]
        once: set[tuple[int, ...]] = {(part.form,) for part in options}
        once |= {tuple(self._parts[i].form for i in part.items) for part in options}
        for part in options:
            if part.kind != "sequence":
                continue
            last = self._parts[part.items[-1]]
            may_end = last.kind == "repeat" and last.least == 0
            if may_end:
                last = self._parts[last.items[0]]
            before = tuple(self._parts[i].form for i in part.items[:-1])
            if last.kind == "rule" and last.name == name and (may_end or before in once):
                return True
        return False

    def _is_endless(self, part: Part, looping: frozenset[int]) -> Needs:
        """Say when a part may be nothing but one thing, any number of times."""
        if part.form in looping:
            return _TRUE
        if part.kind == "either":
            return 1, part.items
        if part.kind == "repeat":
            if part.most is None:
                return _TRUE
            return (1, part.items) if part.least <= 1 else _NEVER
        if part.kind != "sequence":
            return _NEVER
        needed = [item for item in part.items if not self._nullable[item]]
        unit = {self._unit(item) for item in needed}
        repeated = (i for i in part.items if self._unit(i) in unit and self._is_repeat(i))
        if len(unit) == 1 and any(repeated):
            return _TRUE
        if len(needed) > 1:
            return _NEVER
        return 1, tuple(needed) or part.items

    def _is_repeat(self, number: int) -> bool:
        return self._parts[number].kind == "repeat" and self._parts[number].most is None

    def _unit(self, number: int) -> int:
        """Return the form of what an endless repetition repeats, or of anything else itself."""
        return self._parts[self._parts[number].items[0] if self._is_repeat(number) else number].form

    def _check_repetitions(self) -> None:
        for part in self._parts:
            if part.kind == "repeat" and part.most != 1 and self._endless[part.items[0]]:
                self._grammar.fail(
                    "a repetition of a repetition, which matches the same text in many ways",
                    part.at,
                )

    def _check_tails(self) -> None:
        """Refuse a rule that ends with itself, after a repetition: `r ::= "a"+ r | "b"`."""
        graph: dict[str, list[str]] = {}
        endless: dict[str, set[str]] = {}
        for name, body in self._grammar.rules.items():
            tails = list(self._tails(body))
            graph[name] = [tail for tail, (count, repeats) in tails if repeats or not count]
            endless[name] = {tail for tail, (_, repeats) in tails if repeats}
        for group in cycles(graph):
            members = set(group)
            for name in group:
                if endless[name] & members:
                    self._fail_rule(name, "repeats a repetition, by ending with itself after one")

    def _tails(self, body: int) -> Iterator[tuple[str, Before]]:
        """Find the rules that a part can end with, and what is before each."""
        waiting: list[tuple[int, Before]] = [(body, (0, False))]
        while waiting:
            number, before = waiting.pop()
            part = self._parts[number]
            if part.kind == "rule":
                yield part.name, before
            elif part.kind == "sequence":
                waiting.extend(self._sequence_tails(part, before))
            elif part.kind == "repeat" and part.least > 1:
                waiting.append((part.items[0], (2, False)))
            else:
                waiting.extend((item, before) for item in part.items)

    def _sequence_tails(self, part: Part, before: Before) -> list[tuple[int, Before]]:
        tails: list[tuple[int, Before]] = []
        for item in part.items:
            if not self._nullable[item]:
                tails.clear()
            tails.append((item, before))
            count, repeats = before
            if not self._nullable[item]:
                before = count + 1, count == 0 and self._endless[item]
            elif count == 0:
                before = count, repeats or self._endless[item]
        return tails

    def _check_neighbours(self) -> None:
        """Refuse the same repetition twice in a row, and `b b` in a rule `b` that can be empty."""
        names = self._grammar.rules
        graph = {name: list(self._references(body)) for name, body in names.items()}
        recursive = {name for group in cycles(graph) for name in group}
        for part in self._parts:
            if part.kind != "sequence":
                continue
            for one, other in zip(part.items, part.items[1:], strict=False):
                if self._parts[one].form != self._parts[other].form:
                    continue
                again = self._nullable[one] and self._parts[one].name in recursive
                if self._endless[one] or again:
                    self._grammar.fail(
                        "the same twice in a row, which matches a text in many ways",
                        self._parts[other].at,
                    )

    def _references(self, body: int) -> Iterator[str]:
        waiting = [body]
        while waiting:
            part = self._parts[waiting.pop()]
            if part.kind == "rule":
                yield part.name
            waiting.extend(part.items)


def _nullable(part: Part) -> Needs:
    if part.kind == "text":
        return _NEVER if part.text else _TRUE
    if part.kind == "repeat" and part.least == 0:
        return _TRUE
    return _all_or_any(part) if part.items else _NEVER


def _productive(part: Part) -> Needs:
    if not part.items or (part.kind == "repeat" and part.least == 0):
        return _TRUE
    return _all_or_any(part)


def _more_than_empty(part: Part) -> Needs:
    if part.items:
        return 1, part.items
    return _TRUE if part.text else _NEVER


def _all_or_any(part: Part) -> Needs:
    return (len(part.items) if part.kind == "sequence" else 1), part.items
