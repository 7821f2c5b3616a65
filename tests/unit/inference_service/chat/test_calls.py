from __future__ import annotations

import pytest

from inference_service.chat.families import FAMILIES
from inference_service.chat.parser import CompletionParser
from inference_service.domain import (
    Event,
    Finished,
    FinishReason,
    TextDelta,
    ToolCallDelta,
    is_function_name,
)

FORMS = [
    ("hermes", '<tool_call>\n{"name": "NAME", "arguments": {"a": 1}}\n</tool_call>'),
    ("hermes", '<tool_call>{"arguments": {"a": 1}, "name": "NAME"}</tool_call>'),
    ("llama3", '{"name": "NAME", "parameters": {"a": 1}}'),
    ("llama3", '<|python_tag|>{"name": "NAME", "parameters": {"a": 1}}'),
    ("mistral", '[TOOL_CALLS][{"name": "NAME", "arguments": {"a": 1}}]'),
    ("mistral", '[TOOL_CALLS]NAME[ARGS]{"a": 1}'),
    ("phi4", 'functools[{"name": "NAME", "arguments": {"a": 1}}]'),
    (
        "deepseek",
        '<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>',  # noqa: RUF001
    ),
    ("harmony", '<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{"a": 1}'),
]


def parse(family: str, output: str) -> tuple[str, list[str], FinishReason]:
    """Read a completion that comes in single characters: its content and the names called."""
    parser = CompletionParser(FAMILIES[family]("").parse, parallel=True)
    events: list[Event] = [event for one in output for event in parser.push(TextDelta(0, one, 1))]
    events += parser.finish(Finished(0, FinishReason.STOP, 1, len(output)))
    content = "".join(event.text for event in events if isinstance(event, TextDelta))
    names = [e.name for e in events if isinstance(e, ToolCallDelta) and e.name is not None]
    assert isinstance(events[-1], Finished)
    return content, names, events[-1].reason


@pytest.mark.parametrize(("family", "form"), FORMS)
@pytest.mark.parametrize("name", ["f", "get_Weather-2", "x" * 64])
def test_call(family: str, form: str, name: str) -> None:
    assert parse(family, form.replace("NAME", name)) == ("", [name], FinishReason.TOOL_CALLS)


@pytest.mark.parametrize(("family", "form"), FORMS)
@pytest.mark.parametrize("name", ["weather.now", "wörld", "x" * 65])
def test_call_by_a_name_that_no_function_has_is_content(family: str, form: str, name: str) -> None:
    output = form.replace("NAME", name)
    written = output.rpartition("<|message|>")[2] if family == "harmony" else output
    assert parse(family, output) == (written, [], FinishReason.STOP)


@pytest.mark.parametrize("name", ["two words", "line\\nbreak", "f\\u0000", "f\\n"])
def test_names_in_json_are_decoded_first(name: str) -> None:
    output = FORMS[0][1].replace("NAME", name)
    assert parse("hermes", output) == (output, [], FinishReason.STOP)
    letter = FORMS[0][1].replace("NAME", "\\u0066")
    assert parse("hermes", letter)[1] == ["f"]


def test_calls_before_and_after_are_made() -> None:
    bad = FORMS[0][1].replace("NAME", "a b")
    good = FORMS[0][1].replace("NAME", "f")
    assert parse("hermes", f"{good}\n{bad}\n{good}") == (bad, ["f", "f"], FinishReason.TOOL_CALLS)


@pytest.mark.parametrize("name", ["", "f\n", "é", "a.b", "x" * 65, "٣"])
def test_names_that_no_function_has(name: str) -> None:
    assert not is_function_name(name)
