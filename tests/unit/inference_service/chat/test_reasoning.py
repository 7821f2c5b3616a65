from __future__ import annotations

import json

import pytest

from inference_service.chat.format import ChatFormat, PreparedChat
from inference_service.domain import (
    ChatInput,
    Finished,
    FinishReason,
    Grammar,
    Message,
    ReasoningDelta,
    Role,
    TextDelta,
    TokenLogprob,
    Tool,
    ToolCallDelta,
)

ROLES = "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"
THINKING = ROLES + "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
OPEN = ROLES + "<think>\n"
HARMONY = (
    "{{ reasoning_effort }};{{ tools[0].function.name if tools }}{# <|channel|> #}"
    "{% for m in messages %}<|start|>{{ m.role }}"
    "{{ '<|channel|>final' if m.role == 'assistant' }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
JSON = Grammar("json_schema", '{"type": "object"}', "constraint")


def say(text: str, role: Role = Role.USER) -> Message:
    return Message(role, (text,))


async def prepare(
    template: str,
    chat: ChatInput | None = None,
    grammar: Grammar | None = None,
    reasoning_parser: str = "auto",
) -> PreparedChat:
    form = ChatFormat(template, {}, "m", reasoning_parser=reasoning_parser)
    return await form.prepare(chat or ChatInput((say("Hi"),)), grammar)


def read(prepared: PreparedChat, text: str) -> tuple[str, str, list[str], Finished]:
    """Parse a completion into content, reasoning, names of calls and the end."""
    made = []
    for pieces in (list(text), [text]):
        assert prepared.parser is not None
        parser = prepared.parser()
        events = [event for piece in pieces for event in parser.push(TextDelta(0, piece, 1))]
        events += parser.finish(Finished(0, FinishReason.STOP, 1, len(pieces)))
        finished = events[-1]
        assert isinstance(finished, Finished)
        made.append(
            (
                "".join(event.text for event in events if isinstance(event, TextDelta)),
                "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
                [e.name for e in events if isinstance(e, ToolCallDelta) and e.name],
                finished,
            )
        )
    assert made[0][:3] == made[1][:3]
    return made[0]


async def test_reasoning_is_told_apart_and_counted() -> None:
    content, reasoning, _, finished = read(
        await prepare(THINKING), "<think>\nLet me see.\n</think>\n\nIt is 4.\n"
    )
    assert (content, reasoning) == ("It is 4.\n", "Let me see.")
    assert finished.reasoning_tokens == len("<think>\nLet me see.")


async def test_text_begins_inside_of_reasoning_that_the_prompt_opened() -> None:
    prepared = await prepare(OPEN)
    assert read(prepared, "Hm.</think>Yes.")[:2] == ("Yes.", "Hm.")
    content, reasoning, _, finished = read(prepared, "Hm. I")
    assert (content, reasoning) == ("", "Hm. I")
    assert finished.reasoning_tokens == finished.completion_tokens == 5


@pytest.mark.parametrize("text", ["Hi <think>no</think>", "<thin", " \n<b>", "</think>", " "])
async def test_what_does_not_begin_as_reasoning_is_content(text: str) -> None:
    assert read(await prepare(THINKING), text)[:2] == (text, "")


async def test_mistrals_tags() -> None:
    prepared = await prepare(ROLES + "{# [THINK] #}")
    assert read(prepared, "[THINK]Hm.[/THINK]Yes.")[:2] == ("Yes.", "Hm.")
    assert prepared.markers == ("[THINK]", "[/THINK]")


async def test_settings_come_before_the_template() -> None:
    assert (await prepare(THINKING, reasoning_parser="none")).parser is None
    prepared = await prepare(ROLES, reasoning_parser="think")
    assert read(prepared, "<think>a</think>b")[:2] == ("b", "a")
    prepared = await prepare(HARMONY, reasoning_parser="none")
    assert read(prepared, "<|channel|>analysis<|message|>a<|end|>")[:2] == ("a", "")


async def test_calls_after_reasoning() -> None:
    chat = ChatInput((say("Hi"),), tools=(Tool("f"),))
    text = '<think>\n<tool_call>{"name": "no"}</think>\n<tool_call>{"name": "f"}</tool_call>'
    content, reasoning, calls, _ = read(await prepare(THINKING, chat), text)
    assert (content, calls) == ("", ["f"])
    assert reasoning == '<tool_call>{"name": "no"}'


@pytest.mark.parametrize(
    ("effort", "kwargs", "shown"),
    [
        (None, {}, "--"),
        ("none", {}, "noneFalse"),
        ("low", {}, "lowTrue"),
        ("low", {"enable_thinking": False}, "lowFalse"),
        (None, {"enable_thinking": True, "reasoning_effort": "x"}, "xTrue"),
    ],
)
async def test_effort_is_a_word_for_the_template(
    effort: str | None, kwargs: dict[str, object], shown: str
) -> None:
    source = "{{ reasoning_effort | default('-') }}{{ enable_thinking | default('-') }}"
    chat = ChatInput((say("Hi"),), reasoning_effort=effort, template_kwargs=kwargs)
    assert (await prepare(source, chat)).prompt == shown


@pytest.mark.parametrize(
    ("effort", "shown"),
    [("none", "low"), ("minimal", "low"), ("medium", "medium"), ("xhigh", "high")],
)
async def test_harmony_has_three_efforts(effort: str, shown: str) -> None:
    chat = ChatInput((say("Hi"),), reasoning_effort=effort)
    assert (await prepare(HARMONY, chat)).prompt.startswith(f"{shown};")


async def test_harmony_without_tools_makes_no_calls() -> None:
    text = "<|channel|>commentary to=functions.f<|message|>{}<|call|>"
    assert read(await prepare(HARMONY), text)[:3] == ("{}", "", [])
    chat = ChatInput((say("Hi"),), tools=(Tool("f"),))
    assert read(await prepare(HARMONY, chat), text)[:3] == ("", "", ["f"])


async def test_harmony_goes_on_in_the_message_that_the_prompt_began() -> None:
    chat = ChatInput((say("Hi"), say("One,", Role.ASSISTANT)), continue_final_message=True)
    prepared = await prepare(HARMONY, chat)
    assert prepared.prompt.endswith("<|start|>assistant<|channel|>final<|message|>One,")
    assert read(prepared, " two.<|return|>")[:2] == (" two.", "")


@pytest.mark.parametrize(
    ("template", "kinds"),
    [
        (ROLES, None),
        (OPEN, ["tag", "regex", "json_schema"]),
        (THINKING, ["json_schema", "sequence"]),
    ],
)
async def test_requests_own_form_comes_after_reasoning(
    template: str, kinds: list[str] | None
) -> None:
    grammar = (await prepare(template, grammar=JSON)).grammar
    assert grammar is not None
    assert grammar.field == "constraint"
    if kinds is None:
        assert grammar == JSON
        return
    assert grammar.kind == "structural_tag"
    elements = json.loads(grammar.source)["format"]["elements"]
    assert [element["type"] for element in elements] == kinds


async def test_no_reasoning_where_the_prompt_says_so() -> None:
    chat = ChatInput((say("Hi"),), reasoning_effort="none")
    grammar = (await prepare(THINKING, chat, JSON)).grammar
    assert grammar is not None
    assert json.loads(grammar.source)["format"]["type"] == "json_schema"


async def test_log_probabilities_stay_with_their_text() -> None:
    prepared = await prepare(THINKING, ChatInput((say("Hi"),), tools=(Tool("f"),)))
    assert prepared.parser is not None
    parser = prepared.parser()
    words = ["<think>", "Hm", ".", "</think>", "\n\n", "Yes", " and", " no", "\n"]
    tokens = [TokenLogprob(i, word.encode(), -0.5) for i, word in enumerate(words)]
    events = [
        event
        for word, token in zip(words, tokens, strict=True)
        for event in parser.push(TextDelta(0, word, 1, (token,)))
    ]
    events += parser.finish(Finished(0, FinishReason.STOP, 1, len(words)))
    deltas = [event for event in events if isinstance(event, TextDelta | ReasoningDelta)]
    assert [token for delta in deltas for token in delta.logprobs] == tokens
    assert sum(delta.tokens for delta in deltas) == len(words)
    reasoning = [d.logprobs for d in deltas if isinstance(d, ReasoningDelta)]
    assert reasoning == [tuple(tokens[:2]), (tokens[2],)]
