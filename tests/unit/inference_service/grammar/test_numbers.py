"""Numbers within bounds: exactly those, by the grammar's own text read as a regular expression."""

from __future__ import annotations

import random
import re
from decimal import Decimal

import pytest

from inference_service.grammar.numbers import Bounds, Unwritable

_RANDOM = random.Random(7)


def as_regex(expression: str | None) -> re.Pattern[str]:
    if expression is None:
        return re.compile("(?!)")
    parts = re.findall(r'"([^"]*)"|(\[[^]]*\]|[^" ]+)', expression)
    return re.compile("".join(f"(?:{re.escape(text)})" if text else rest for text, rest in parts))


def a_number() -> Decimal:
    scale = _RANDOM.choice([1, 1, 10, 100, 1000])
    return (
        Decimal(_RANDOM.choice([_RANDOM.randint(-150, 150), _RANDOM.randint(-9999, 9999)])) / scale
    )


def within(bounds: Bounds, value: Decimal) -> bool:
    low = (
        bounds.low is None or bounds.low < value or (bounds.low == value and not bounds.low_strict)
    )
    high = (
        bounds.high is None
        or value < bounds.high
        or (bounds.high == value and not bounds.high_strict)
    )
    return low and high and (not bounds.integer or value % 1 == 0)


def test_exactly_the_numbers_within() -> None:
    for _ in range(600):
        low, high = sorted([a_number(), a_number()])
        bounds = Bounds(
            low if _RANDOM.random() < 0.8 else None,
            _RANDOM.random() < 0.4,
            high if _RANDOM.random() < 0.8 else None,
            _RANDOM.random() < 0.4,
            _RANDOM.random() < 0.4,
        )
        regex = as_regex(bounds.expression())
        near = [
            edge + Decimal(step) / 1000 for edge in (low, high) for step in (-100, -1, 0, 1, 1000)
        ]
        for value in [*near, *map(Decimal, range(-11, 12)), *(a_number() for _ in range(20))]:
            text = "0" if value == 0 else f"{value.normalize():f}"
            assert bool(regex.fullmatch(text)) == within(bounds, value), (bounds, text)


@pytest.mark.parametrize("text", ["-0", "00", "1.", ".5", "01", "+1", "1e5", "-", ""])
def test_no_other_ways_to_write_them(text: str) -> None:
    assert not as_regex(Bounds(Decimal(-5), high=Decimal("5.5")).expression()).fullmatch(text)


def test_bounds_only_tighten() -> None:
    bounds = Bounds().above(Decimal(3), strict=True).above(Decimal(3), strict=False)
    assert bounds == Bounds(Decimal(3), low_strict=True)
    bounds = Bounds().below(Decimal(3), strict=False).below(Decimal(3), strict=True)
    assert bounds == Bounds(high=Decimal(3), high_strict=True)
    assert bounds.below(Decimal(9), strict=True) == bounds


def test_huge_bounds() -> None:
    with pytest.raises(Unwritable):
        Bounds(Decimal("1e300")).expression()
