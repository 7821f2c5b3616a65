"""What parsing costs: microseconds a token of plain text, for each family's parser.

`python -m benchmarks.parsing`. A token is a delta of four characters, pushed by itself. The cost is
that of the parser beside no parser, on text without a call, where all requests with tools pay it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from inference_service.chat.families import FAMILIES
from inference_service.chat.output import Output
from inference_service.chat.parser import CompletionParser, Parser
from inference_service.chat.reasoning import REASONING
from inference_service.chat.scanner import Scanner, Steps
from inference_service.domain import Event, TextDelta

_TEXT = (
    "The quick brown fox isn't lazy: it jumps (often, and far) over 13 sleeping dogs.\n\n"
    "- A list, with `code` of functions in it.\n- If a < b, then b > a; see [1] and {2}.\n"
)
_CHARACTERS = 4


def main() -> int:
    """Measure and print; the exit status is 1 if a parser costs more than is asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.parsing", description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000, help="tokens a run")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each; medians are shown")
    parser.add_argument("--most", type=float, default=5.0, help="exit with 1 if one costs more, µs")
    options = parser.parse_args()
    text = _TEXT * (options.tokens * _CHARACTERS // len(_TEXT) + 1)
    places = range(0, options.tokens * _CHARACTERS, _CHARACTERS)
    deltas = [TextDelta(0, text[place : place + _CHARACTERS], 1) for place in places]
    costs = {name: _microseconds(make, deltas, options.rounds) for name, make in _parsers().items()}
    for name, cost in costs.items():
        print(f"{name:10} {cost:5.2f} µs a token")
    return int(max(costs.values()) > options.most)


def _parsers() -> dict[str, Callable[[], Parser]]:
    def of_family(name: str) -> Callable[[], Parser]:
        return lambda: CompletionParser(FAMILIES[name]("").parse, parallel=True)

    def reasoning(scanner: Scanner, output: Output) -> Steps[None]:
        return REASONING["think"].parse(scanner, output, is_open=True)

    return {
        **{name: of_family(name) for name in FAMILIES},
        "think": lambda: CompletionParser(reasoning, parallel=True),
    }


def _microseconds(make: Callable[[], Parser], deltas: list[TextDelta], rounds: int) -> float:
    """Return what a parser costs, a token, beside taking the deltas as they are."""
    pairs = [(_seconds(make().push, deltas), _seconds(_as_it_is, deltas)) for _ in range(rounds)]
    return 1e6 * statistics.median(parsed - bare for parsed, bare in pairs) / len(deltas)


def _seconds(push: Callable[[TextDelta], list[Event]], deltas: list[TextDelta]) -> float:
    start = time.perf_counter()
    for delta in deltas:
        push(delta)
    return time.perf_counter() - start


def _as_it_is(delta: TextDelta) -> list[Event]:
    return [delta]


if __name__ == "__main__":
    sys.exit(main())
