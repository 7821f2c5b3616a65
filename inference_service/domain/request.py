"""What a request asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from inference_service.domain.chat import ChatInput


@dataclass(frozen=True, slots=True)
class PromptInput:
    """Text given to the model as it is.

    Attributes:
        text: The text; special tokens in it are recognized.
        add_special_tokens: Whether the tokenizer adds its own, as a chat template would have.

    """

    text: str
    add_special_tokens: bool = False


@dataclass(frozen=True, slots=True)
class TokenIdsInput:
    """Token ids given to the model as they are."""

    ids: tuple[int, ...]


Input = ChatInput | PromptInput | TokenIdsInput


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen and when generation stops.

    `None` is "the model's default"; the ranges are those of `SamplingParams` in inference.proto.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    n: int = 1
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Constraint:
    """The form that a completion must have; see `OutputConstraint` in inference.proto.

    Attributes:
        kind: How `source` is to be read, named as the field of the proto.
        source: A JSON Schema, a regular expression or a grammar; empty for the other kinds.
        choices: Of `choices`: the texts.

    """

    kind: Literal["json_schema", "json_object", "regex", "choices", "grammar"]
    source: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grammar:
    """A form in the grammar compiler's own terms: what `chat` and `grammar` make for the engine.

    Attributes:
        kind: How the compiler is to read `source`.
        source: JSON Schema, regular expression, GBNF, or a structural tag as JSON (xgrammar 0.1.31:
            https://xgrammar.mlc.ai/docs/tutorials/structural_tag.html).
        field: The request's field that it comes from, for errors.

    """

    kind: Literal["json_schema", "regex", "ebnf", "structural_tag"]
    source: str
    field: str = "constraint"


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request for a completion.

    `keep_alive_seconds` is how long the model stays loaded after it if no other comes: less than
    zero is for ever, `None` as the model's settings say.
    """

    model: str
    input: Input
    sampling: SamplingParams = field(default_factory=SamplingParams)
    constraint: Constraint | None = None
    keep_alive_seconds: float | None = None
