"""What a model's own file of settings may say."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

ToolParser: TypeAlias = Literal[
    "auto", "none", "hermes", "llama3", "mistral", "phi4", "harmony", "deepseek"
]
ReasoningParser: TypeAlias = Literal["auto", "none", "think", "mistral", "harmony"]
Kind: TypeAlias = Literal["generation", "embedding", "rerank"]
Pooling: TypeAlias = Literal["mean", "cls", "last"]
Count = Annotated[int, msgspec.Meta(ge=1)]


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `model.toml` in a model's folder may say; each has a default that suits most models."""

    engine: Literal["openvino", "fake"] = "openvino"
    """`fake` echoes prompts without a model, for tests of everything around the engine."""
    kind: Kind | None = None
    """What the model does; unset: what its files say."""
    pooling: Pooling | None = None
    """Of an embedding model: how its tokens' vectors become one; unset: what its files say."""
    device: str = "CPU"
    """The OpenVINO device."""
    reproducible: bool = False
    """Batch-invariant arithmetic: the same request gives the same tokens whatever else runs."""
    context_length: Count | None = None
    """Tokens of prompt and completion together; unset: what the model's files say."""
    kv_cache_gib: Count = 1
    """Size of the key-value cache, GiB."""
    max_num_seqs: Count = 256
    """Sequences in a batch at most."""
    max_num_batched_tokens: Count = 256
    """Tokens in a step at most; a longer prompt is prefilled in several steps."""
    enable_prefix_caching: bool = True
    """Whether prompts with a common beginning share its key-value blocks."""
    tool_parser: ToolParser = "auto"
    """How the model writes calls of tools; `auto` tells it from the chat template."""
    reasoning_parser: ReasoningParser = "auto"
    """How the model marks its reasoning; `auto` tells it from the chat template."""
    grammar_compile_seconds: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """A grammar that takes more processor time to compile is refused."""
    client_grammars: bool = True
    """Whether requests may bring grammars of their own (GBNF). What is known to slow the engine is
    refused, but not all can be told; schemas, expressions and choices are taken either way."""
    fake_step_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Of the fake engine: how long a step takes."""
