from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

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
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolMode,
)
from inference_service.errors import InvalidArgument, ServiceError, Unsupported

ROLES = "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"
# As Qwen's: tools and calls in the Hermes form, and reasoning.
HERMES = (
    "{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools><tool_call>"
    "{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "</tool_call>{% endfor %}{% endfor %}"
)

WEATHER = Tool("get_weather", "Tells", {"properties": {"city": {"type": "string"}}})
CALL = ToolCall("call_1", "get_weather", '{"city": "Paris"}')


def say(text: str, role: Role = Role.USER, **rest: Any) -> Message:
    return Message(role, (text,) if text else (), **rest)


CALLED = (
    say("Weather?"),
    say("", Role.ASSISTANT, tool_calls=(CALL,)),
    say("warm", Role.TOOL, tool_call_id="call_1"),
)


def ask(*messages: Message, **rest: Any) -> ChatInput:
    return ChatInput(messages or (say("Hi"),), **rest)


async def prepare(
    template: str, chat: ChatInput, grammar: Grammar | None = None, **parsers: str
) -> PreparedChat:
    return await ChatFormat(template, {}, "m", **parsers).prepare(chat, grammar)


def read(prepared: PreparedChat, text: str) -> tuple[str, str, list[str], Finished]:
    assert prepared.parser is not None
    parser = prepared.parser()
    events = [e for piece in text for e in parser.push(TextDelta(0, piece, 1))]
    events += parser.finish(Finished(0, FinishReason.STOP, 1, len(text)))
    assert isinstance(events[-1], Finished)
    return (
        "".join(e.text for e in events if isinstance(e, TextDelta)),
        "".join(e.text for e in events if isinstance(e, ReasoningDelta)),
        [e.name for e in events if isinstance(e, ToolCallDelta) and e.name],
        events[-1],
    )


async def test_developer_is_the_system_unless_the_template_knows_better() -> None:
    chat = ask(say("x", Role.DEVELOPER))
    assert (await prepare(ROLES, chat)).prompt == "system=x;"
    knowing = "{% if messages[0].role == 'developer' %}yes{% endif %}"
    assert (await prepare(knowing, chat)).prompt == "yes"


async def test_parts_are_joined_by_lines() -> None:
    chat = ask(Message(Role.USER, ("one", "two", "")))
    assert (await prepare(ROLES, chat)).prompt == "user=one\ntwo\n;"


async def test_parts_stay_parts_where_the_template_wants_them() -> None:
    parts = "{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}"
    chat = ask(Message(Role.USER, ("one", "two")))
    assert (await prepare(parts, chat)).prompt == "[one][two]"


async def test_name_is_given_only_where_there_is_one() -> None:
    source = "{% for m in messages %}[{{ m.name if m.name is defined else '-' }}]{% endfor %}"
    chat = ask(say("x"), say("y", name="Ann"), say("z", name=""))
    assert (await prepare(source, chat)).prompt == "[-][Ann][]"


async def test_large_conversation_is_rendered_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    original = ChatFormat._prepare

    def note(self: ChatFormat, chat: ChatInput, grammar: Grammar | None) -> PreparedChat:
        threads.append(threading.current_thread())
        return original(self, chat, grammar)

    monkeypatch.setattr(ChatFormat, "_prepare", note)
    form = ChatFormat(ROLES, {}, "m")
    half = "x" * 9_900
    await form.prepare(ask(), None)  # finds out what the template takes
    await form.prepare(ask(say(half), say(half)), None)
    large = await form.prepare(ask(say(half), say(half), say("x")), None)
    await form.prepare(ask(tools=(Tool("f", "y" * 20_000),)), None)
    inline = [thread is threading.main_thread() for thread in threads]
    assert inline == [False, True, False, False]
    assert large.prompt.count("x") == 19_801


async def test_preparations_do_not_mix() -> None:
    form = ChatFormat(ROLES, {}, "m")
    prepared = await asyncio.gather(
        *(form.prepare(ask(say(f"{i}" * 30_000)), None) for i in range(8))
    )
    assert [chat.prompt for chat in prepared] == [f"user={f'{i}' * 30_000};" for i in range(8)]


async def test_plain_chat_needs_no_parser() -> None:
    assert await prepare(ROLES, ask()) == PreparedChat("user=Hi;", None, (), None)


async def test_template_is_given_tools_and_history() -> None:
    prepared = await prepare(HERMES, ask(*CALLED, tools=(WEATHER,)))
    told = prepared.prompt.partition("<tools>")[2].partition("</tools>")[0]
    assert json.loads(told) == {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tells",
            "parameters": {"properties": {"city": {"type": "string"}}},
        },
    }
    assert '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}' in prepared.prompt
    assert prepared.prompt.endswith("<tool>warm")
    assert prepared.markers == ("<tool_call>", "</tool_call>")


async def test_arguments_are_text_where_the_template_adds_them_to_text() -> None:
    adding = HERMES.replace("c.function.arguments | tojson", "'' + c.function.arguments")
    prepared = await prepare(adding, ask(*CALLED))
    assert '"arguments": {"city": "Paris"}}' in prepared.prompt


async def test_template_that_ignores_tools_is_told_in_words() -> None:
    prepared = await prepare(ROLES, ask(say("Be kind.", Role.SYSTEM), *CALLED, tools=(WEATHER,)))
    system, _, rest = prepared.prompt.partition(";user=Weather?;")
    assert system.startswith("system=Be kind.\n\n# Tools")
    assert '"name": "get_weather"' in system
    assert "<tool_call>" in system
    assert rest == (
        'assistant=<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n'
        "</tool_call>;user=<tool_response>\nwarm\n</tool_response>;"
    )
    text, _, calls, finished = read(prepared, 'Hm. <tool_call>{"name": "f"}</tool_call>')
    assert (text, calls, finished.reason) == ("Hm.", ["f"], FinishReason.TOOL_CALLS)


async def test_first_message_has_the_words_where_there_is_no_system_role() -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + ROLES
    prompt = (await prepare(refusing, ask(tools=(WEATHER,)))).prompt
    assert prompt.startswith("user=# Tools")
    assert prompt.endswith("\n\nHi;")


async def test_mistrals_ids_have_nine_characters() -> None:
    template = HERMES.replace("<tool_call>", "[TOOL_CALLS]").replace(
        "{{ c.function.name }}", "{{ c.function.name }}-{{ c.id }}"
    )
    prompt = (await prepare(template, ask(*CALLED, tools=(WEATHER,)))).prompt
    identity = prompt.partition("get_weather-")[2][:10]
    assert identity[9] == '"'
    assert identity[:9].isalnum()


@pytest.mark.parametrize("mode", [ToolMode.NONE, None])
async def test_no_tools_no_parsing(mode: ToolMode | None) -> None:
    chat = ask(tools=(WEATHER,), tool_choice=ToolChoice(mode)) if mode else ask()
    prepared = await prepare(HERMES, chat)
    assert "get_weather" not in prepared.prompt
    assert prepared.parser is None


async def test_only_allowed_tools_are_told() -> None:
    chat = ask(
        tools=(WEATHER, Tool("other")), tool_choice=ToolChoice(ToolMode.AUTO, ("get_weather",))
    )
    prompt = (await prepare(HERMES, chat)).prompt
    assert "get_weather" in prompt
    assert "other" not in prompt


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ((say("x", Role.TOOL, tool_call_id="call_1"),), "chat.messages[0].tool_call_id"),
        ((*CALLED, say("y", Role.TOOL, tool_call_id="call_2")), "chat.messages[3].tool_call_id"),
        ((say("y", Role.TOOL), *CALLED), "chat.messages[0].tool_call_id"),
        *(
            (
                (say("", Role.ASSISTANT, tool_calls=(ToolCall("a", "f", bad),)),),
                "chat.messages[0].tool_calls[0].arguments_json",
            )
            for bad in ("{", "[]", "5", '{"a": 1} x', "[" * 100_000)
        ),
    ],
)
async def test_malformed_history_is_the_requests_fault(
    messages: tuple[Message, ...], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await prepare(HERMES, ask(*messages))
    assert caught.value.metadata == {"field": field}


JSON = Grammar("json_schema", "{}")


@pytest.mark.parametrize(
    ("chat", "grammar", "field"),
    [
        (ask(tool_choice=ToolChoice(ToolMode.REQUIRED)), None, "chat.tool_choice"),
        (
            ask(tools=(WEATHER,), tool_choice=ToolChoice(ToolMode.REQUIRED, ("x",))),
            None,
            "chat.tool_choice",
        ),
        (
            ask(tools=(WEATHER,), tool_choice=ToolChoice(ToolMode.REQUIRED)),
            JSON,
            "constraint",
        ),
        (ask(template_kwargs={"messages": []}), None, "chat.template_kwargs_json"),
        (ask(continue_final_message=True), None, "chat.continue_final_message"),
        (
            ask(
                say("x", Role.ASSISTANT),
                continue_final_message=True,
                tools=(WEATHER,),
                tool_choice=ToolChoice(ToolMode.REQUIRED),
            ),
            None,
            "chat.continue_final_message",
        ),
    ],
)
async def test_contradictions_are_refused(
    chat: ChatInput, grammar: Grammar | None, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await prepare(HERMES, chat, grammar)
    assert caught.value.metadata["field"] == field


async def test_model_can_be_set_to_take_no_tools() -> None:
    assert (await prepare(HERMES, ask(), tool_parser="none")).parser is None
    with pytest.raises(Unsupported) as caught:
        await prepare(HERMES, ask(tools=(WEATHER,)), tool_parser="none")
    assert isinstance(caught.value, ServiceError)
    assert caught.value.metadata == {"feature": "tools"}
