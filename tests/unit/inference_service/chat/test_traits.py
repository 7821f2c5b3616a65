from __future__ import annotations

import pytest

from inference_service.chat.conversation import entries, one_call_each
from inference_service.chat.families import Hermes
from inference_service.chat.format import ChatFormat
from inference_service.chat.templates import ChatTemplate
from inference_service.chat.traits import Traits
from inference_service.domain import ChatInput, Message, Role, Tool, ToolCall

LOOP = "{% for m in messages %}{{ m.role }}:{{ m.content or '' }}"
END = "{% endfor %}"
TOOLS = "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
CALLS = "{% for c in m.tool_calls or [] %}{{ c.function.name }}ARGUMENTS{% endfor %}"


def calls(arguments: str) -> str:
    return CALLS.replace("ARGUMENTS", arguments)


def traits(source: str) -> Traits:
    return ChatTemplate(source, {}, "m").traits


PLAIN = Traits(
    tools="nowhere",
    calls=False,
    argument_text=False,
    null_content=False,
    system=True,
    developer=False,
    parts=False,
)


def changed(**values: object) -> Traits:
    known = {name: getattr(PLAIN, name) for name in Traits.__slots__}
    return Traits(**(known | values))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (LOOP + END, PLAIN),
        (LOOP + TOOLS + END, changed(tools="variable")),
        (LOOP + "{{ m.tools }}" + END, changed(tools="system")),
        (LOOP + calls("{{ c.function.arguments | tojson }}") + END, changed(calls=True)),
        (
            LOOP + calls("{{ '' + c.function.arguments }}") + END,
            changed(calls=True, argument_text=True),
        ),
        # Python's way to show an object is not JSON.
        (LOOP + calls("{{ c.function.arguments }}") + END, changed(calls=True, argument_text=True)),
        (
            LOOP + "{% if m.content is none %}" + calls("{{ c.function.arguments | tojson }}")
            + "{% endif %}" + END,
            changed(calls=True, null_content=True),
        ),
        (LOOP + calls("") + END, changed(calls=True)),
        (
            "{% for m in messages %}{{ m.content if m.role != 'system' }}{% endfor %}",
            changed(system=False),
        ),
        ("{% for m in messages %}{{ m.content[0].text }}" + END, changed(parts=True)),
        (LOOP + END + "{% if 'developer' in messages %}{% endif %}", changed(developer=True)),
        # A template for requests with tools only.
        (
            LOOP + "{% for t in tools %}{{ t.function.name }}{% endfor %}"
            + calls("{{ c.function.arguments | tojson }}") + END,
            changed(tools="variable", calls=True, system=False),
        ),
        ("{{ raise_exception('never') }}", changed(system=False)),
    ],
)  # fmt: skip
def test_what_templates_take(source: str, found: Traits) -> None:
    assert traits(source) == found


def test_content_and_calls_are_parted_where_only_one_is_shown() -> None:
    call = ToolCall("call_1", "f", "")
    message = Message(Role.ASSISTANT, ("I look.",), tool_calls=(call,), reasoning="Hm.")
    turned = entries([message], changed(calls=True, null_content=True), Hermes(""))
    function = {"name": "f", "arguments": {}}
    assert turned == [
        {"role": "assistant", "content": "I look.", "reasoning_content": "Hm."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
    ]


async def test_tools_at_the_system_message() -> None:
    source = "{# <|/tool|> #}" + LOOP + "{{ m.tools }};" + END
    form = ChatFormat(source, {}, "m")
    chat = ChatInput((Message(Role.USER, ("Hi",)),), tools=(Tool("f"),))
    prompt = (await form.prepare(chat, None)).prompt
    assert prompt.startswith('system:[{"type": "function", "function": {"name": "f"')
    assert prompt.endswith("user:Hi;")


async def test_calls_are_text_where_the_template_shows_none() -> None:
    source = "{# <|/tool|> #}" + LOOP + "{{ m.tools }};" + END
    call = ToolCall("a", "f", '{"x": 1}')
    talk = (
        Message(Role.USER, ("Hi",)),
        Message(Role.ASSISTANT, (), tool_calls=(call,)),
        Message(Role.TOOL, ("1",), tool_call_id="a"),
    )
    prompt = (await ChatFormat(source, {}, "m").prepare(ChatInput(talk), None)).prompt
    assert prompt == (
        'user:Hi;assistant:<|tool_call|>[{"name": "f", "arguments": {"x": 1}}]<|/tool_call|>;'
        "user:<tool_response>\n1\n</tool_response>;"
    )


def test_calls_are_parted_where_templates_show_one() -> None:
    one, two = ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}")
    first = Message(Role.TOOL, ("a",), tool_call_id="1")
    second = Message(Role.TOOL, ("b",), tool_call_id="2")
    user = Message(Role.USER, ("Hi",))
    calling = Message(Role.ASSISTANT, ("I look.",), tool_calls=(one, two), reasoning="Hm.")
    assert one_call_each([user, calling, second, first, user]) == [
        user,
        Message(Role.ASSISTANT, ("I look.",), tool_calls=(one,), reasoning="Hm."),
        first,
        Message(Role.ASSISTANT, (), tool_calls=(two,)),
        second,
        user,
    ]
    assert one_call_each([calling])[1:] == [Message(Role.ASSISTANT, (), tool_calls=(two,))]


async def test_template_that_refuses_several_calls_is_given_them_one_by_one() -> None:
    source = (
        "{# <|start_header_id|> #}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
        "{% for m in messages %}{% if m.tool_calls and m.tool_calls | length > 1 %}"
        "{{ raise_exception('only one call') }}{% endif %}{{ m.content }}"
        '{% for c in m.tool_calls or [] %}{"name": "{{ c.function.name }}", "parameters": '
        "{{ c.function.arguments | tojson }}}{% endfor %}{% endfor %}"
    )
    talk = (
        Message(Role.USER, ("Hi",)),
        Message(Role.ASSISTANT, (), tool_calls=(ToolCall("1", "f", "{}"), ToolCall("2", "g", ""))),
        Message(Role.TOOL, ("a",), tool_call_id="1"),
        Message(Role.TOOL, ("b",), tool_call_id="2"),
    )
    prompt = (await ChatFormat(source, {}, "m").prepare(ChatInput(talk), None)).prompt
    assert prompt == 'Hi{"name": "f", "parameters": {}}a{"name": "g", "parameters": {}}b'
