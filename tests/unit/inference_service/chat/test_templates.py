from __future__ import annotations

import asyncio
import threading

import pytest

from inference_service.chat.templates import ChatTemplate
from inference_service.domain import Message, Role
from inference_service.errors import ChatTemplateError

# As the default model has it: ChatML, and a system message of its own where there is none.
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ROLES = "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"


def say(text: str, role: Role = Role.USER, **rest: str) -> Message:
    return Message(role, (text,), **rest)


def template(source: str, **special_tokens: str) -> ChatTemplate:
    return ChatTemplate(source, special_tokens, "m")


async def test_default_models_template() -> None:
    prompt = await template(CHATML).render(
        [
            *(say("Hi", Role.SYSTEM), say("a\nb")),
            *(say("<|im_start|>", Role.ASSISTANT), say("{{ 1 }} {% x")),
        ]
    )
    assert prompt == (
        "<|im_start|>system\nHi<|im_end|>\n"
        "<|im_start|>user\na\nb<|im_end|>\n"
        "<|im_start|>assistant\n<|im_start|><|im_end|>\n"
        "<|im_start|>user\n{{ 1 }} {% x<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


async def test_default_models_template_has_a_system_message_of_its_own() -> None:
    prompt = await template(CHATML).render([say("Hi")])
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


async def test_developer_is_the_system_unless_the_template_knows_better() -> None:
    messages = [say("x", Role.DEVELOPER)]
    assert await template(ROLES).render(messages) == "system=x;"
    knowing = "{% if messages[0].role == 'developer' %}yes{% endif %}"
    assert await template(knowing).render(messages) == "yes"


async def test_parts_are_joined_by_lines() -> None:
    message = Message(Role.USER, ("one", "two", ""))
    assert await template(ROLES).render([message]) == "user=one\ntwo\n;"


async def test_name_is_given_only_where_there_is_one() -> None:
    source = "{% for m in messages %}[{{ m.name if m.name is defined else '-' }}]{% endfor %}"
    messages = [say("x"), say("y", name="Ann"), say("z", name="")]
    assert await template(source).render(messages) == "[-][Ann][]"


async def test_special_tokens_may_be_named() -> None:
    source = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    assert await template(source, bos_token="<s>", eos_token="</s>").render([say("x")]) == (
        "<s>x</s>"
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0].content.nothing.more }}", "nothing"),
        ("{% for %}", "refused the messages"),
        ("{{ messages[0].content + 1 }}", "refused the messages"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "refused the messages"),
        ("{{ 1 // 0 }}", "refused the messages"),
    ],
)
async def test_whatever_goes_wrong_is_the_templates_error(source: str, why: str) -> None:
    with pytest.raises(ChatTemplateError, match=why) as caught:
        await template(source).render([say("x")])
    assert caught.value.metadata == {"model": "m"}


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ messages[0].content.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ raise_exception.__globals__ }}",
        "{{ self.__init__ }}",
        "{{ messages[0]['content']|attr('__class__') }}",
        "{{ '{0.__class__}'.format('x') }}",
    ],
)
async def test_sandbox_gives_no_way_to_python(source: str) -> None:
    try:
        prompt = await template(source).render([say("x")])
    except ChatTemplateError:
        return
    assert "class" not in prompt
    assert "module" not in prompt
    assert "function" not in prompt


async def test_messages_are_data_to_the_template() -> None:
    assert await template(ROLES).render([say("{{ ''.__class__ }}")]) == "user={{ ''.__class__ }};"


async def test_large_conversation_is_rendered_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    original = ChatTemplate._render

    def note(self: ChatTemplate, messages: list[Message]) -> str:
        threads.append(threading.current_thread())
        return original(self, messages)

    monkeypatch.setattr(ChatTemplate, "_render", note)
    chatml = template(CHATML)
    half = "x" * 9_900
    await chatml.render([say(half), say(half)])
    large = await chatml.render([say(half), say(half), say("x")])
    assert [thread is threading.main_thread() for thread in threads] == [True, False]
    assert large.count("x") == 19_801


async def test_renderings_do_not_mix() -> None:
    source = template(ROLES)
    prompts = await asyncio.gather(*(source.render([say(f"{i}" * 30_000)]) for i in range(8)))
    assert prompts == [f"user={f'{i}' * 30_000};" for i in range(8)]
