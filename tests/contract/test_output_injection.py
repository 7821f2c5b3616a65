"""What a model writes can't leave its place on the wire, whatever it is.

The fake engine says what the user says. Each text comes whole and streamed, by each API: the
clients must take it, their answers must be the same, and each line of a stream must be an event's
for every reader of lines, also those that part them where Unicode does.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai
import pytest


@dataclass(frozen=True)
class Way:
    """How one API is asked: where, in which field, and what goes with it."""

    path: str
    field: str
    settings: dict[str, Any]

    def ask(self, text: str) -> dict[str, Any]:
        said = [{"role": "user", "content": text}]
        return {"model": "thinker", self.field: said} | self.settings


SCHEMA = {"type": "object"}
FUNCTION = {"name": "f", "parameters": SCHEMA}
CHAT = Way("/chat/completions", "messages", {"tools": [{"type": "function", "function": FUNCTION}]})
RESPONSES = Way(
    "/responses", "input", {"tools": [{"type": "function", "strict": False} | FUNCTION]}
)
MESSAGES = Way(
    "/messages", "messages", {"tools": [{"name": "f", "input_schema": SCHEMA}], "max_tokens": 9000}
)
SPECIAL = "".join(map(chr, (*range(32), 0x7F, 0x85, 0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFD)))
CALL_ID = re.compile(r"(?:call|toolu)_[0-9a-f]{24}")
CALL = '<tool_call>{"name": "f", "arguments": {"a": "x"}}</tool_call>'


def call(arguments: str) -> str:
    return f'<tool_call>{{"name": "f", "arguments": {arguments}}}</tool_call>'


# Each text, its content and the arguments of its calls.
TEXTS: dict[str, tuple[str, str, list[str]]] = {}


def case(name: str, text: str, content: str | None = None, *arguments: str) -> None:
    TEXTS[name] = (text, text if content is None else content, list(arguments))


case("data", 'a\ndata: {"choices": []}\n\ndata: [DONE]\n\nb')
case("event", "a\nevent: message_stop\nid: 1\nretry: 1\n: b\n\nevent: error\ndata: {}\n\nb")
case("ends of lines", "a\r\n\r\nb\n\n\rc\r\rdata: x")
case("special characters", f"a{SPECIAL}b")
case("long white space", f"a{' ' * 400}b{chr(10) * 400}c")
case("end of reasoning", "a</think>b<think>c")
case(
    "arguments first", '<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>', "", '{"a": 1}'
)
for inner in (
    "</think>",
    "<tool_call>{}</tool_call>",
    "data: x",
    "\r\n\r\ndata: [DONE]\r\n\r\n",
    SPECIAL,
):
    for ascii_only in (True, False):
        arguments = json.dumps({"a": inner}, ensure_ascii=ascii_only)
        case(f"{inner[:9]!r} {ascii_only}", call(arguments), "", arguments)
case("line in a name", CALL.replace('"f"', '"f\\ndata: x"'))
case("line as it is in a name", CALL.replace('"f"', '"f\ndata: x"'))


@pytest.fixture(scope="module")
def http(api: Any) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=api.ca)
    headers = {"authorization": f"Bearer {api.key}"}
    with httpx.Client(verify=trust, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def gpt(api: Any) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(verify=ssl.create_default_context(cafile=api.ca))
    with openai.OpenAI(
        base_url=api.base_url,
        api_key=api.key,
        max_retries=0,
        timeout=20,
        http_client=http,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.fixture(scope="module")
def claude(api: Any) -> Iterator[anthropic.Anthropic]:
    http = anthropic.DefaultHttpxClient(verify=ssl.create_default_context(cafile=api.ca))
    url = api.base_url.removesuffix("/v1")
    with anthropic.Anthropic(
        base_url=url, api_key=api.key, max_retries=0, timeout=20, http_client=http
    ) as client:
        yield client


each_way = pytest.mark.parametrize("way", [CHAT, RESPONSES, MESSAGES], ids=lambda way: way.path)


def events_of(http: httpx.Client, url: str, ask: dict[str, Any]) -> list[Any]:
    """Stream an answer, and give the objects of its events; each line must belong to one."""
    events: list[Any] = []
    with http.stream("POST", url, json=ask | {"stream": True}) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            assert name in {"", "event", "data"}, line
            if name == "data" and value != "[DONE]":
                events.append(json.loads(value))
    return events


def by_chat(gpt: openai.OpenAI, ask: dict[str, Any], *, stream: bool) -> tuple[str, list[str]]:
    completions = gpt.chat.completions
    if stream:
        with completions.stream(**ask) as events:
            answer: Any = events.get_final_completion()
    else:
        answer = completions.create(**ask)
    [choice] = answer.choices
    calls = choice.message.tool_calls or ()
    assert choice.finish_reason == ("tool_calls" if calls else "stop")
    return choice.message.content or "", [one.function.arguments for one in calls]


def by_responses(gpt: openai.OpenAI, ask: dict[str, Any], *, stream: bool) -> tuple[str, list[str]]:
    if stream:
        with gpt.responses.stream(**ask) as events:
            answer: Any = events.get_final_response()
    else:
        answer = gpt.responses.create(**ask)
    assert answer.status == "completed"
    calls = [item.arguments for item in answer.output if item.type == "function_call"]
    return answer.output_text, calls


def by_messages(
    claude: anthropic.Anthropic, ask: dict[str, Any], *, stream: bool
) -> tuple[str, list[Any]]:
    if stream:
        with claude.messages.stream(**ask) as events:
            answer: Any = events.get_final_message()
    else:
        answer = claude.messages.create(**ask)
    calls = [block.input for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == ("tool_use" if calls else "end_turn")
    texts = [block.text for block in answer.content if block.type == "text"]
    return "".join(texts), calls


@pytest.mark.parametrize("name", TEXTS)
def test_clients_take_it_whole_and_streamed(
    gpt: openai.OpenAI, claude: anthropic.Anthropic, name: str
) -> None:
    text, content, arguments = TEXTS[name]
    inputs = [json.loads(one) for one in arguments]
    for stream in (False, True):
        assert by_chat(gpt, CHAT.ask(text), stream=stream) == (content, arguments)
        assert by_responses(gpt, RESPONSES.ask(text), stream=stream) == (content, arguments)
        assert by_messages(claude, MESSAGES.ask(text), stream=stream) == (content, inputs)


@each_way
def test_each_line_is_an_events(api: Any, http: httpx.Client, way: Way) -> None:
    text = "".join(text for text, _, _ in TEXTS.values())
    assert events_of(http, api.base_url + way.path, way.ask(text))


@each_way
def test_two_hundred_calls(api: Any, http: httpx.Client, way: Way) -> None:
    ask = way.ask("<tool_call>" + '{"name":"f"}' * 200)
    answer = http.post(api.base_url + way.path, json=ask)
    assert answer.status_code == 200
    assert len(set(CALL_ID.findall(answer.text))) == 200
    events = events_of(http, api.base_url + way.path, ask)
    assert len(set(CALL_ID.findall(json.dumps(events)))) == 200
