"""Grammars of numbers: of any, and of those between bounds, digit by digit.

Numbers have bounded lengths, as a model that repeats a digit would not come to an end, and more
digits than a double holds mean nothing. Between bounds they are written without an exponent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from inference_service.grammar.ebnf import EMPTY, either, literal, optional, sequence

_INTEGER_DIGITS = 15
_FRACTION_DIGITS = 16
_MOST_DIGITS = 60  # of a bound, on either side of its point

_WHOLE = f'("0" | [1-9] [0-9]{{0,{_INTEGER_DIGITS - 1}}})'
INTEGER = f'"-"? {_WHOLE}'
NUMBER = f'"-"? {_WHOLE} ("." [0-9]{{1,{_FRACTION_DIGITS}}})? ([eE] [-+]? [0-9] [0-9]?)?'


class Unwritable(ValueError):
    """A bound has more digits than can be handled."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """What the digits still to come are compared with; `strict` forbids to be equal."""

    whole: str
    fraction: str
    strict: bool

    def step(self) -> tuple[str, _Limit]:
        """Return the next digit and the limit on the digits after it."""
        if self.whole:
            return self.whole[0], replace(self, whole=self.whole[1:])
        return (self.fraction or "0")[0], replace(self, fraction=self.fraction[1:])

    @property
    def is_zero(self) -> bool:
        return not self.whole and not self.fraction


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers that are allowed; `None` is no bound."""

    low: Decimal | None = None
    low_strict: bool = False
    high: Decimal | None = None
    high_strict: bool = False
    integer: bool = False

    def above(self, value: Decimal, *, strict: bool) -> Bounds:
        """Return these bounds with a lower one more."""
        if self.low is not None and (self.low, self.low_strict) > (value, strict):
            return self
        return replace(self, low=value, low_strict=strict)

    def below(self, value: Decimal, *, strict: bool) -> Bounds:
        """Return these bounds with an upper one more."""
        if self.high is not None and (self.high, not self.high_strict) < (value, not strict):
            return self
        return replace(self, high=value, high_strict=strict)

    def expression(self) -> str | None:
        """Return an expression for the numbers within the bounds, or `None` if there are none.

        Raises:
            Unwritable: A bound has too many digits.

        """
        if self.low is None and self.high is None:
            return INTEGER if self.integer else NUMBER
        low, high = (
            self,
            replace(
                self,
                low=None if self.high is None else -self.high,
                low_strict=self.high_strict,
                high=None if self.low is None else -self.low,
                high_strict=self.low_strict,
            ),
        )
        positive = low._magnitudes(zero=True)
        negative = high._magnitudes(zero=False)
        parts = [sequence(['"-"', negative])] if negative else []
        parts += [positive] if positive else []
        return either(parts) if parts else None

    def _magnitudes(self, *, zero: bool) -> str | None:
        """Return an expression for the allowed numbers over zero, or from it."""
        low, low_strict = self.low, self.low_strict
        if low is None or low < 0 or (low == 0 and not zero):
            low, low_strict = Decimal(0), not zero
        lower = _limit(low, strict=low_strict)
        upper = None if self.high is None else _limit(self.high, strict=self.high_strict)
        if self.high is not None and self.high < 0:
            return None
        most = max(_INTEGER_DIGITS, len(lower.whole) + 1)
        if upper is not None:
            most = len(upper.whole)
        shortest, longest = len(lower.whole), len(upper.whole) if upper else None
        expressions = [
            self._whole(
                length,
                lower if length == shortest else None,
                upper if length == longest else None,
                first=length > 1,
            )
            for length in sorted({shortest, longest or shortest})
            if shortest <= length <= most
        ]
        between = range(shortest, (longest or most + 1) - 1)  # further digits than the first
        if between:
            digits = f"[0-9]{{{between[0]},{between[-1]}}}"
            expressions.append(sequence(["[1-9]", digits, self._end(None, None) or EMPTY]))
        possible = [expression for expression in expressions if expression is not None]
        return either(possible) if possible else None

    def _whole(
        self, left: int, low: _Limit | None, high: _Limit | None, *, first: bool = False
    ) -> str | None:
        """Return an expression for `left` digits and a fraction; `first` may be no zero."""
        if left == 0:
            return self._end(low, high)
        if low is None and high is None and not first:
            return sequence([f"[0-9]{{{left}}}", self._end(None, None) or EMPTY])
        return _branch(low, high, 1 if first else 0, lambda lo, hi: self._whole(left - 1, lo, hi))

    def _end(self, low: _Limit | None, high: _Limit | None) -> str | None:
        """Return an expression for what comes after the last digit before the point."""
        may_end = _allows_end(low, high)
        fraction = None if self.integer else _fraction(low, high, _FRACTION_DIGITS)
        if fraction is None:
            return EMPTY if may_end else None
        expression = sequence(['"."', fraction])
        return optional(expression) if may_end else expression


def _limit(value: Decimal, *, strict: bool) -> _Limit:
    text = f"{abs(value):f}" if abs(value.adjusted()) <= _MOST_DIGITS else None
    if text is None or len(text) > 2 * _MOST_DIGITS:
        raise Unwritable
    whole, _, fraction = text.partition(".")
    return _Limit(whole.lstrip("0") or "0", fraction.rstrip("0"), strict)


def _allows_end(low: _Limit | None, high: _Limit | None) -> bool:
    """Whether the number may be as it is, with nothing but zeros to come."""
    above = low is None or (low.is_zero and not low.strict)
    below = high is None or not (high.is_zero and high.strict)
    return above and below


def _fraction(low: _Limit | None, high: _Limit | None, left: int) -> str | None:
    """Return an expression for one or more digits of a fraction, at most `left`."""
    if left == 0:
        return None
    if low is not None and low.is_zero and not low.strict:
        low = None  # whatever comes is enough
    if low is None and high is None:
        return f"[0-9]{{1,{left}}}"
    if high is not None and high.is_zero:
        return None if low is not None or high.strict else f'"0"{{1,{left}}}'
    if high is None and low is not None and low.is_zero:
        return f'"0"{{0,{left - 1}}} [1-9] [0-9]{{0,{left - 1}}}'

    def tail(lo: _Limit | None, hi: _Limit | None) -> str | None:
        more = _fraction(lo, hi, left - 1)
        if not _allows_end(lo, hi):
            return more
        return EMPTY if more is None else optional(more)

    return _branch(low, high, 0, tail)


def _branch(
    low: _Limit | None,
    high: _Limit | None,
    least: int,
    tail: Callable[[_Limit | None, _Limit | None], str | None],
) -> str | None:
    """Return an expression for a digit and what may follow it, digits of equal futures as one."""
    low_digit, low_rest = low.step() if low else ("", None)
    high_digit, high_rest = high.step() if high else ("", None)
    futures: dict[tuple[_Limit | None, _Limit | None], str] = {}
    for digit in "0123456789"[least:]:
        if (low and digit < low_digit) or (high and digit > high_digit):
            continue
        lo = low_rest if low and digit == low_digit else None
        hi = high_rest if high and digit == high_digit else None
        futures[lo, hi] = futures.get((lo, hi), "") + digit
    expressions = []
    for (lo, hi), digits in futures.items():
        after = tail(lo, hi)
        if after is not None:
            digit = literal(digits) if len(digits) == 1 else f"[{digits[0]}-{digits[-1]}]"
            expressions.append(sequence([digit, after]))
    return either(expressions) if expressions else None
