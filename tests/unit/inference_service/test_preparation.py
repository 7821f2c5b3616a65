from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from inference_service import preparation
from inference_service.chat.format import ChatFormat
from inference_service.domain import (
    ChatInput,
    Constraint,
    GenerateRequest,
    Grammar,
    Message,
    PromptInput,
    Role,
    SamplingParams,
    TokenIdsInput,
    Tool,
    ToolChoice,
    ToolMode,
)
from inference_service.engine.settings import ModelSettings
from inference_service.errors import ChatTemplateError, InvalidArgument, Unsupported
from inference_service.preparation import Prepared, prepare

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
CHAT = ChatInput((Message(Role.USER, ("hello",)),))
REGEX = Constraint("regex", "a+")
# What no grammar can enforce.
BAD = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
REQUIRED = ToolChoice(ToolMode.REQUIRED)


class Model:
    """A model with a chat template, as far as a request is prepared with it."""

    chat = ChatFormat(TEMPLATE, {}, "m")


class Mute:
    """A model without a chat template."""

    @property
    def chat(self) -> ChatFormat:
        raise ChatTemplateError("it has none", model="m")


async def run(given: Any, model: Any = None, **fields: Any) -> Prepared:
    return await prepare(model or Model(), GenerateRequest("m", given, **fields))


@pytest.mark.parametrize(
    ("given", "prompt"), [(PromptInput("x"), "x"), (TokenIdsInput((1, 2)), (1, 2))]
)
async def test_prompts_are_taken_as_they_are(given: Any, prompt: Any) -> None:
    assert await run(given, Mute()) == Prepared(prompt)
    constrained = await run(given, Mute(), constraint=REGEX)
    assert constrained.prompt == prompt
    assert constrained.grammar is not None
    assert (constrained.grammar.kind, constrained.grammar.field) == ("ebnf", "constraint.regex")
    assert constrained.parser is None


async def test_prompt_says_whether_special_tokens_are_added() -> None:
    asked = await run(PromptInput("x", add_special_tokens=True), Mute())
    assert asked == Prepared("x", add_special_tokens=True)


async def test_conversations_are_rendered() -> None:
    assert await run(CHAT) == Prepared("user: hello\nassistant:")
    with pytest.raises(ChatTemplateError):
        await run(CHAT, Mute())


async def test_tools_bring_a_parser_and_required_ones_a_grammar() -> None:
    chat = replace(CHAT, tools=(Tool("f", parameters={"type": "object"}),))
    free = await run(chat)
    assert free.parser is not None
    assert free.grammar is None
    required = await run(replace(chat, tool_choice=REQUIRED))
    assert isinstance(required.grammar, Grammar)
    assert "json_schema" not in required.grammar.source  # all of it is enforced


def offered(**changes: Any) -> ChatInput:
    """A conversation with a good tool and one that can't be enforced."""
    tools = (Tool("good", parameters={"type": "object"}), Tool("bad", parameters=BAD))
    return replace(CHAT, tools=tools, **changes)


@pytest.mark.parametrize(
    "chat",
    [
        offered(tool_choice=REQUIRED),
        offered(tool_choice=ToolChoice(ToolMode.REQUIRED, ("bad",))),
        replace(CHAT, tools=(Tool("f"), Tool("bad", parameters=BAD, strict=True))),
    ],
)
async def test_tool_that_can_not_be_enforced_is_named(chat: ChatInput) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await run(chat)
    assert caught.value.metadata == {"field": "chat.tools[1].parameters_json"}


@pytest.mark.parametrize(
    "chat",
    [
        offered(),
        offered(tool_choice=ToolChoice(ToolMode.NONE)),
        offered(tool_choice=ToolChoice(ToolMode.REQUIRED, ("good",))),
    ],
)
async def test_tool_that_is_not_enforced_may_have_any_schema(chat: ChatInput) -> None:
    await run(chat)


async def test_constraint_that_can_not_be_enforced_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        await run(PromptInput("x"), constraint=Constraint("json_schema", '{"type": 5'))
    assert caught.value.metadata == {"field": "constraint.json_schema"}


@pytest.mark.parametrize("name", ["ignore_eos", "min_tokens"])
async def test_sampling_that_would_break_a_form_is_refused(name: str) -> None:
    sampling = SamplingParams(**{name: 1})  # type: ignore[arg-type]
    strict = replace(CHAT, tools=(Tool("f", strict=True),))
    for fields in ({"given": PromptInput("x"), "constraint": REGEX}, {"given": strict}):
        with pytest.raises(InvalidArgument) as caught:
            await run(**fields, sampling=sampling)
        assert caught.value.metadata == {"field": f"sampling.{name}"}
    await run(PromptInput("x"), sampling=sampling)


async def test_large_forms_are_converted_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    grammar_of = preparation.grammar_of

    def noted(constraint: Constraint) -> Grammar:
        threads.append(threading.current_thread())
        return grammar_of(constraint)

    monkeypatch.setattr(preparation, "grammar_of", noted)
    for length in (1, 10_000):
        choices = Constraint("choices", choices=("x" * length, "y"))
        await run(PromptInput("x"), constraint=choices)
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_model_may_be_set_to_take_no_grammars_of_requests(allowed: bool) -> None:
    class Set(Model):
        folder = SimpleNamespace(name="m", settings=ModelSettings(client_grammars=allowed))

    given = Constraint("grammar", 'root ::= "a"')
    assert (await run(CHAT, Set(), constraint=REGEX)).grammar is not None
    if allowed:
        assert (await run(CHAT, Set(), constraint=given)).grammar is not None
        return
    with pytest.raises(Unsupported, match="no grammars") as refused:
        await run(CHAT, Set(), constraint=given)
    assert refused.value.metadata["field"] == "constraint.grammar"
