from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_service.chat.families import FAMILIES
from inference_service.chat.parser import CompletionParser
from inference_service.chat.reasoning import REASONING
from inference_service.domain import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from inference_service.engine.settings import ReasoningParser, ToolParser

RECORDED = {
    family: json.loads((Path(__file__).parent / "recorded" / f"{family}.json").read_text())
    for family in FAMILIES
}
CASES = [
    pytest.param(family, case, id=f"{family}-{number}")
    for family, cases in RECORDED.items()
    for number, case in enumerate(cases)
]
OPENINGS = ("<tool_call>", "[TOOL_CALLS]", "functools[", "<｜tool▁calls▁begin｜>", "<|channel|>")  # noqa: RUF001
DEEPSEEK_CALL = (
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>"  # noqa: RUF001
    '{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'  # noqa: RUF001
)


def parse(
    family: str,
    pieces: Iterable[str],
    *,
    parallel: bool = True,
    reason: FinishReason = FinishReason.STOP,
) -> list[Event]:
    parser = CompletionParser(FAMILIES[family]("").parse, parallel=parallel)
    events: list[Event] = []
    number = 0
    for piece in pieces:
        events += parser.push(TextDelta(3, piece, 2))
        number += 1
    return events + parser.finish(Finished(3, reason, 1, 2 * number))


def joined(events: list[Event]) -> dict[str, Any]:
    """What a client has of it all."""
    calls: list[list[str]] = []
    for event in events:
        assert event.index == 3
        if isinstance(event, ToolCallDelta):
            if event.id is not None:
                assert event.call_index == len(calls)
                assert event.name is not None
                assert event.arguments == ""
                calls.append([event.name, ""])
            calls[event.call_index][1] += event.arguments
    finished = events[-1]
    assert isinstance(finished, Finished)
    return {
        "content": "".join(e.text for e in events if isinstance(e, TextDelta)),
        "reasoning": "".join(e.text for e in events if isinstance(e, ReasoningDelta)),
        "calls": calls,
        "reason": finished.reason,
    }


@pytest.mark.parametrize(("family", "case"), CASES)
def test_recorded_output(family: str, case: dict[str, Any]) -> None:
    made = joined(parse(family, [case["output"]]))
    assert made == {
        "content": case["content"],
        "reasoning": case["reasoning"],
        "calls": case["calls"],
        "reason": FinishReason.TOOL_CALLS if case["calls"] else FinishReason.STOP,
    }
    for _, arguments in made["calls"]:
        assert isinstance(json.loads(arguments), dict)


@pytest.mark.parametrize(("family", "case"), CASES)
def test_split_anywhere_makes_no_difference(family: str, case: dict[str, Any]) -> None:
    output = case["output"]
    whole = joined(parse(family, [output]))
    for place in range(len(output) + 1):
        assert joined(parse(family, [output[:place], output[place:]])) == whole
    assert joined(parse(family, output)) == whole
    assert joined(parse(family, ["", *output, ""])) == whole


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_arguments_are_streamed_as_they_come(family: str) -> None:
    case = RECORDED[family][0] if family != "mistral" else RECORDED[family][3]
    pieces = [
        event.arguments
        for event in parse(family, case["output"])
        if isinstance(event, ToolCallDelta) and event.arguments
    ]
    assert "".join(pieces) == "".join(arguments for _, arguments in case["calls"])
    assert {len(piece) for piece in pieces} == {1}


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_splits_into_many_make_no_difference(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(sorted(FAMILIES)))
    output = "".join(
        data.draw(st.lists(st.sampled_from([c["output"] for c in RECORDED[family]]), max_size=3))
    )
    output = output[: data.draw(st.integers(0, len(output)))]
    places = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=12)))
    cuts = [0, *places, len(output)]
    pieces = [output[a:b] for a, b in pairwise(cuts)]
    assert joined(parse(family, pieces)) == joined(parse(family, [output]))


PIECE = st.one_of(
    st.sampled_from(sorted({marker for family in FAMILIES.values() for marker in family.markers})),
    st.sampled_from(
        [
            '{"name": "f", ',
            '"arguments": ',
            '"',
            "\\",
            "{",
            "}",
            "[",
            "]",
            ";",
            ":",
            ",",
            "function",
        ]
    ),
    st.sampled_from([" to=functions.f", "functools[", "```json\n", "\n", " ", "\ud800", "\\ud800"]),
    st.text(max_size=8),
)


@given(family=st.sampled_from(sorted(FAMILIES)), pieces=st.lists(PIECE, max_size=30))
@settings(max_examples=500, deadline=None)
def test_no_output_raises_and_splits_make_no_difference(family: str, pieces: list[str]) -> None:
    made = joined(parse(family, pieces))
    assert made == joined(parse(family, ["".join(pieces)]))
    for name, arguments in made["calls"]:
        assert name
        (name + arguments).encode(errors="surrogatepass")


@given(text=st.text(st.characters(exclude_characters="{<[f", codec="utf-8"), max_size=200))
@settings(max_examples=200, deadline=None)
def test_text_without_calls_is_left_as_it_is(text: str) -> None:
    for family in FAMILIES:
        events = parse(family, [text[i : i + 4] for i in range(0, len(text), 4)])
        assert joined(events)["content"] == text
        tokens = sum(event.tokens for event in events if isinstance(event, TextDelta))
        assert tokens == 2 * -(-len(text) // 4)


@pytest.mark.parametrize("family", ["hermes", "llama3", "mistral", "phi4", "deepseek"])
def test_only_the_first_call_passes_where_calls_are_not_parallel(family: str) -> None:
    case = next(case for case in RECORDED[family] if len(case["calls"]) == 2)
    assert joined(parse(family, case["output"], parallel=False))["calls"] == case["calls"][:1]


@pytest.mark.parametrize(("family", "case"), CASES)
def test_cut_off_call_keeps_its_pieces(family: str, case: dict[str, Any]) -> None:
    output = case["output"]
    for place in range(len(output)):
        made = joined(parse(family, output[:place], reason=FinishReason.LENGTH))
        assert made["reason"] is FinishReason.LENGTH
        assert len(made["calls"]) <= len(case["calls"])
        for (name, arguments), (whole_name, whole) in zip(
            made["calls"], case["calls"], strict=False
        ):
            assert whole_name.startswith(name)
            assert whole.startswith(arguments) or "as a string" in case["source"]


@pytest.mark.parametrize(
    ("family", "output"),
    [
        ("hermes", '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'),
        ("llama3", '<|python_tag|>{"name": "f", "parameters": {"a": 1}}; {"name": "g"}'),
        ("mistral", '[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}]'),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"a": 1}'),
        ("phi4", '<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]<|/tool_call|>'),
        ("deepseek", DEEPSEEK_CALL),
    ],
)
def test_what_is_cut_off_in_a_call_is_no_content(family: str, output: str) -> None:
    markers = [marker for marker in FAMILIES[family].markers if output.startswith(marker)]
    for place in range(len(markers[0]), len(output)):
        for pieces in ([output[:place]], output[:place]):
            made = joined(parse(family, pieces, reason=FinishReason.LENGTH))
            assert made["content"] == "", output[:place]
    beside = "Text. " + output[: len(markers[0])]
    made = joined(parse(family, beside, reason=FinishReason.LENGTH))
    assert made["content"].rstrip() == "Text."


def test_ids_are_new_each_time() -> None:
    output = RECORDED["hermes"][0]["output"]
    ids = [
        event.id
        for _ in range(2)
        for event in parse("hermes", [output])
        if isinstance(event, ToolCallDelta) and event.id
    ]
    assert len(set(ids)) == 4
    assert all(len(identity) == 29 and identity.startswith("call_") for identity in ids)


@pytest.mark.parametrize(
    ("output", "content"),
    [
        ('<tool_call>\n{"name": 5, "arguments": {}}\n</tool_call>', None),
        ('<tool_call>\n{"name": "", "arguments": {}}\n</tool_call>', None),
        ('<tool_call>\n{"name": "\\ud800", "arguments": {}}', None),
        ('<tool_call>\n{"arguments": {}}\n</tool_call>', None),
        ("<tool_call>\nf(1)\n</tool_call>", None),
        ('<tool_call>\n{"name": "f', None),
        ("<tool_c", None),
    ],
)
def test_what_is_no_call_is_content(output: str, content: str | None) -> None:
    made = joined(parse("hermes", output))
    assert made["calls"] == []
    assert made["content"] == (content or output)


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("{}", "{}"),
        ("null", "{}"),
        ('"text"', '"text"'),
        ("[1]", "[1]"),
        ("5", "5"),
        ('"{\\"a\\": \\"\\\\ud800\\"}"', '{"a": "\\ud800"}'),
    ],
)
def test_arguments_of_other_kinds(written: str, arguments: str) -> None:
    output = f'<tool_call>\n{{"name": "f", "arguments": {written}}}\n</tool_call>'
    assert joined(parse("hermes", output))["calls"] == [["f", arguments]]


def test_call_without_arguments_has_none() -> None:
    output = '<tool_call>{"name": "f"}</tool_call>'
    assert joined(parse("hermes", output))["calls"] == [["f", "{}"]]


@pytest.fixture
def seconds() -> Callable[[int], float]:
    def measure(length: int) -> float:
        text = '<tool_call>{"name": "f", "arguments": {"a": "' + "x" * length
        start = time.perf_counter()
        parse("hermes", text)
        return time.perf_counter() - start

    return measure


def test_long_arguments_cost_in_proportion(seconds: Callable[[int], float]) -> None:
    seconds(1000)
    assert seconds(80_000) < 30 * seconds(10_000)


def test_settings_and_docs_name_each_family() -> None:
    page = (Path(__file__).parents[4] / "docs" / "tools.md").read_text(encoding="utf-8")
    shown = {
        header: set(re.findall(r'^\| `"(\w+)"` \|', table, re.MULTILINE))
        for header, table in re.findall(r"^\| `(\w+_parser)` \|(.*?)\n\n", page, re.M | re.S)
    }
    assert shown == {
        "tool_parser": set(get_args(ToolParser)) - {"auto"},
        "reasoning_parser": set(get_args(ReasoningParser)) - {"auto"},
    }
    assert shown["tool_parser"] == FAMILIES.keys() | {"none"}
    assert shown["reasoning_parser"] == REASONING.keys() | {"none", "harmony"}
