from __future__ import annotations

import jinja2
import pytest

from inference_service.chat.templates import ChatTemplate
from inference_service.errors import ChatTemplateError, InvalidArgument

# As the default model has it: ChatML, and a system message of its own where there is none.
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ROLES = "{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}"


def say(text: str, role: str = "user", **rest: str) -> dict[str, str]:
    return {"role": role, "content": text, **rest}


def template(source: str, **special_tokens: str) -> ChatTemplate:
    return ChatTemplate(source, special_tokens, "m")


def test_default_models_template() -> None:
    prompt = template(CHATML).render(
        [
            *(say("Hi", "system"), say("a\nb")),
            *(say("<|im_start|>", "assistant"), say("{{ 1 }} {% x")),
        ]
    )
    assert prompt == (
        "<|im_start|>system\nHi<|im_end|>\n"
        "<|im_start|>user\na\nb<|im_end|>\n"
        "<|im_start|>assistant\n<|im_start|><|im_end|>\n"
        "<|im_start|>user\n{{ 1 }} {% x<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_default_models_template_has_a_system_message_of_its_own() -> None:
    prompt = template(CHATML).render([say("Hi")])
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_special_tokens_may_be_named() -> None:
    source = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    assert template(source, bos_token="<s>", eos_token="</s>").render([say("x")]) == ("<s>x</s>")


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
def test_whatever_goes_wrong_is_the_templates_error(source: str, why: str) -> None:
    with pytest.raises(ChatTemplateError, match=why) as caught:
        template(source).render([say("x")])
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
def test_sandbox_gives_no_way_to_python(source: str) -> None:
    try:
        prompt = template(source).render([say("x")])
    except ChatTemplateError:
        return
    assert "class" not in prompt
    assert "module" not in prompt
    assert "function" not in prompt


def test_messages_are_data_to_the_template() -> None:
    assert template(ROLES).render([say("{{ ''.__class__ }}")]) == "user={{ ''.__class__ }};"


def test_answer_goes_on_where_the_last_message_ends() -> None:
    talk = [say("Count"), say("one, two ", "assistant")]
    prompt = template(CHATML).render(talk, continue_final_message=True)
    assert prompt.endswith("<|im_start|>assistant\none, two ")


def test_variables_reach_the_template() -> None:
    assert template("{{ a }}{{ tools }}").render([say("x")], variables={"a": 5}) == "5None"


@pytest.mark.parametrize(
    "name",
    ["messages", "tools", "add_generation_prompt", "chat_template", "documents", "bos_token"],
)
def test_variables_of_the_renderer_cannot_be_set(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name) as caught:
        template(ROLES, bos_token="<s>").check_variables({"a": 1, name: 1})
    assert caught.value.metadata == {"field": "chat.template_kwargs_json"}


def test_check_finds_what_is_no_jinja_only() -> None:
    template("{{ raise_exception('no') }}").check()
    with pytest.raises(jinja2.TemplateSyntaxError):
        template("{% for %}").check()
