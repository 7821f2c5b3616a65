"""The compiler takes each family's grammars, and what is written under them is read as calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import openvino as ov
import openvino_genai
import pytest
from openvino import opset13 as op

from inference_service.chat.constraint import constrain
from inference_service.chat.families import FAMILIES, Family, Harmony
from inference_service.chat.parser import CompletionParser
from inference_service.chat.reasoning import REASONING
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
    ToolCallDelta,
    ToolChoice,
    ToolMode,
)

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer"},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
NESTED = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 2},
    },
    "required": ["items"],
    "additionalProperties": False,
    "$defs": {"item": {"type": "boolean"}},
}
TOOLS = (Tool("get_weather", "", WEATHER), Tool("nested-1", "", NESTED), Tool("now", ""))
NAMED = ToolChoice(ToolMode.REQUIRED, ("nested-1",))
SCHEMAS = {"get_weather": WEATHER, "nested-1": NESTED, "now": {"maxProperties": 0}}

# What tells a variant from a template, and what a model might write that is off the schema.
VARIANTS = [
    ("hermes", "", 'Sure.\n<tool_call>\n{"name": "get_weather", "arguments": {"town": 5}}'),
    ("llama3", "", '{"name": "get_weather", "parameters": {"town": 5}}'),
    ("llama3", "", 'Sure. <|python_tag|>{"name": "get_weather", "parameters": {"town": 5}}'),
    ("mistral", "", 'Sure. [TOOL_CALLS][{"name": "get_weather", "arguments": {"town": 5}}]'),
    ("mistral", "[ARGS]", 'Sure. [TOOL_CALLS]get_weather[ARGS]{"town": 5}'),
    ("phi4", "", 'Sure. functools[{"name": "get_weather", "arguments": {"town": 5}}]'),
    ("phi4", "functools", 'Yes. <|tool_call|>[{"name": "get_weather", "arguments": {"town": 5}}]'),
    ("deepseek", "", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{}"),  # noqa: RUF001
    ("deepseek", "```json", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n[1]"),  # noqa: RUF001
    ("harmony", "", "<|channel|>commentary to=functions.get_weather json<|message|>{}"),
]
CASES = [
    pytest.param(FAMILIES[name](template), id=f"{name}-{template}")
    for name, template, _ in VARIANTS
]
WRONG = [
    pytest.param(FAMILIES[name](template), text, id=f"{name}-{template}-{text[:9]}")
    for name, template, text in VARIANTS
]

Write = Callable[..., str]


@pytest.fixture(scope="module")
def write(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Give a function that writes a text under a grammar, at random or as a script has it.

    The model is a constant that likes what ends things; the tokenizer and the compiler are real.
    """
    tokenizer = openvino_genai.Tokenizer(model_dir)
    vocabulary = tokenizer.get_vocab()
    likes = np.zeros(len(vocabulary), dtype=np.float32)
    for token, number in vocabulary.items():
        text = token if isinstance(token, bytes) else token.encode()
        if not text.strip() or b"\\" in text:
            likes[number] = -12
        elif text in (b'"', b'"}', b"}", b'",', b"]", b"}]", b"1", b"2", b","):
            likes[number] = 9
    end = tokenizer.get_eos_token_id()
    likes[end] = 8
    file = tmp_path_factory.mktemp("constant") / "model.xml"

    def pipeline(script: str) -> Any:
        encoded = tokenizer.encode(script or "a", add_special_tokens=False).input_ids.data[0]
        ids = op.constant(np.append(encoded, end) if script else np.array([end]))
        ov.save_model(_constant(likes, ids, 60.0 if script else 0.0), file)
        weights = np.fromfile(file.with_suffix(".bin"), dtype=np.uint8)
        return openvino_genai.LLMPipeline(
            file.read_text(),
            ov.Tensor(weights),
            tokenizer,
            "CPU",
            openvino_genai.GenerationConfig(),
            ATTENTION_BACKEND="SDPA",
        )

    pipelines = {"": pipeline("")}

    def run(grammar: Grammar, seed: int, script: str = "") -> str:
        if script not in pipelines:
            pipelines[script] = pipeline(script)
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = 400
        config.apply_chat_template = False
        config.eos_token_id = end
        config.do_sample = True
        config.rng_seed = seed
        assert grammar.kind == "structural_tag"
        config.structured_output_config = openvino_genai.StructuredOutputConfig(
            structural_tags_config=grammar.source
        )
        return str(pipelines[script].generate("a", config))

    return run


def _constant(likes: np.ndarray, script: Any, weight: float) -> ov.Model:
    """Make a model whose logits are constant, but for the next token of a script."""
    ids = op.parameter([-1, -1], np.int64, name="input_ids")
    mask = op.parameter([-1, -1], np.int64, name="attention_mask")
    beam = op.parameter([-1], np.int32, name="beam_idx")
    for node in (ids, mask, beam):
        node.output(0).set_names({node.friendly_name})
    length = op.reduce_sum(mask, op.constant(np.array([0, 1], dtype=np.int64)))
    place = op.subtract(length, op.constant(np.int64(1)))
    last = op.constant(np.int64(script.shape[0] - 1))
    token = op.gather(script, op.minimum(place, last), op.constant(np.int64(0)))
    scripted = op.one_hot(
        token, op.constant(np.int64(len(likes))), op.constant(np.float32(weight)),
        op.constant(np.float32(0)), -1,
    )  # fmt: skip
    beams = op.reduce_sum(beam, op.constant(np.array([0], dtype=np.int64)))
    unused = op.multiply(op.convert(beams, "f32"), op.constant(np.float32(0)))
    shape = op.concat([op.shape_of(ids), op.constant(np.array([len(likes)]))], 0)
    row = op.add(op.constant(likes), scripted)
    logits = op.add(op.broadcast(row, shape), unused)
    logits.output(0).set_names({"logits"})
    return ov.Model([op.result(logits)], [ids, mask, beam], "constant")


def ask(tools: tuple[Tool, ...], mode: ToolMode, *, parallel: bool = True) -> ChatInput:
    return ChatInput(
        (Message(Role.USER, ("Hi",)),), tools, ToolChoice(mode), parallel_tool_calls=parallel
    )


def read(family: Family, text: str) -> tuple[str, str, list[list[str]]]:
    """Parse a completion into content, reasoning and calls."""
    parser = CompletionParser(family.parse, parallel=True)
    events = parser.push(TextDelta(0, text, 1))
    events += parser.finish(Finished(0, FinishReason.STOP, 1, 1))
    calls: list[list[str]] = []
    for event in events:
        if isinstance(event, ToolCallDelta):
            if event.name:
                calls.append([event.name, ""])
            calls[-1][1] += event.arguments
    content = "".join(e.text for e in events if isinstance(e, TextDelta))
    reasoning = "".join(e.text for e in events if isinstance(e, ReasoningDelta))
    return content, reasoning, calls


def check_calls(calls: list[list[str]]) -> None:
    for name, arguments in calls:
        jsonschema.validate(json.loads(arguments), SCHEMAS[name])


def opening(family: Family) -> str:
    """Where reasoning may come first, it would go on at random for ever."""
    return "<|channel|>commentary" if isinstance(family, Harmony) else ""


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("family", CASES)
def test_required_calls_match_their_schemas(
    write: Write, family: Family, *, parallel: bool
) -> None:
    chat = ask(TOOLS, ToolMode.REQUIRED, parallel=parallel)
    grammar = constrain(chat, TOOLS, None, family, None, "")
    assert grammar is not None
    assert grammar.field == "chat.tools"
    for seed in range(6):
        content, _, calls = read(family, write(grammar, seed, opening(family)))
        assert content == ""
        assert calls
        assert parallel or len(calls) == 1
        check_calls(calls)


@pytest.mark.parametrize("family", CASES)
def test_named_function_is_called_once(write: Write, family: Family) -> None:
    tools = TOOLS[1:2]
    chat = replace(ask(TOOLS, ToolMode.AUTO), tool_choice=NAMED)
    grammar = constrain(chat, tools, None, family, None, "")
    assert grammar is not None
    for seed in range(4):
        _, _, calls = read(family, write(grammar, seed, opening(family)))
        assert [name for name, _ in calls] == ["nested-1"]
        check_calls(calls)


@pytest.mark.parametrize(("family", "wrong"), WRONG)
def test_strict_function_is_called_as_its_schema_says(
    write: Write, family: Family, wrong: str
) -> None:
    tools = (Tool("get_weather", "", WEATHER, strict=True), Tool("other"))
    grammar = constrain(ask(tools, ToolMode.AUTO), tools, None, family, None, "")
    assert grammar is not None
    _, _, calls = read(family, write(grammar, 1, wrong))
    assert calls[0][0] == "get_weather"
    check_calls([call for call in calls if call[0] == "get_weather"])


@pytest.mark.parametrize("family", CASES)
def test_text_needs_no_call_where_calls_are_free(write: Write, family: Family) -> None:
    tools = (Tool("get_weather", "", WEATHER, strict=True),)
    grammar = constrain(ask(tools, ToolMode.AUTO), tools, None, family, None, "")
    assert grammar is not None
    assert read(family, write(grammar, 1, "It is warm; 3 < 4."))[0] == "It is warm; 3 < 4."


@pytest.mark.parametrize("way", sorted(REASONING))
@pytest.mark.parametrize("state", ["open", "possible", "over"])
@pytest.mark.parametrize("family", CASES[:1])
def test_reasoning_comes_before_calls(write: Write, family: Family, way: str, state: str) -> None:
    reasoning = REASONING[way]
    prompt = {"open": reasoning.begin + "\n", "possible": "assistant\n", "over": reasoning.end}
    thought = f"Let me see.{reasoning.end}\n\n<tool_call>"
    script = {"open": thought, "possible": reasoning.begin + thought, "over": thought}[state]
    chat = ask(TOOLS, ToolMode.REQUIRED)
    grammar = constrain(chat, TOOLS, None, family, reasoning, prompt[state])
    assert grammar is not None
    text = write(grammar, 1, script)
    if state == "over":
        assert text.startswith("<tool_call>")
    else:
        assert text.startswith(script)
        text = text.partition(reasoning.end)[2]
    calls = read(family, text)[2]
    assert calls
    check_calls(calls)


ANSWER = Grammar("json_schema", json.dumps(WEATHER))
FORMS = [
    ANSWER,
    Grammar("regex", "[a-z]{3}-[0-9]{2}"),
    Grammar("ebnf", 'root ::= "yes" | "no"'),
    Grammar("structural_tag", '{"type": "structural_tag", "format": {"type": "const_string", '
            '"value": "fixed"}}'),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind)
@pytest.mark.parametrize("tools", [(), TOOLS], ids=["alone", "with tools"])
@pytest.mark.parametrize("family", CASES)
def test_requests_own_form_comes_after_reasoning_or_beside_calls(
    write: Write, family: Family, form: Grammar, tools: tuple[Tool, ...]
) -> None:
    reasoning = REASONING["think"]
    grammar = constrain(ask(tools, ToolMode.AUTO), tools, form, family, reasoning, "<think>")
    assert grammar is not None
    assert grammar.field == form.field
    harmony = isinstance(family, Harmony)
    begin = "Hm.</think>\n"
    if harmony:
        begin = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final"
        begin += "<|message|>"
    text = write(grammar, 2, begin)
    if tools or harmony:
        content, thought, calls = read(family, text.removeprefix("Hm.</think>"))
        assert not harmony or thought == "Hm."
        check_calls(calls)
    else:
        content = text.removeprefix("Hm.</think>").strip()
    if not tools and form.kind == "json_schema":
        jsonschema.validate(json.loads(content), WEATHER)
    elif not tools and form.kind == "ebnf":
        assert content in ("yes", "no")
