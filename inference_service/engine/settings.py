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
KvPrecision: TypeAlias = Literal["auto", "u4", "u8", "f16", "bf16", "f32"]
FakeLoadFailure: TypeAlias = Literal[
    "invalid_files", "invalid_settings", "unsupported", "out_of_memory", "die"
]
Count = Annotated[int, msgspec.Meta(ge=1)]

BLOCK_TOKENS = 32
"""Tokens in a block of the key-value cache, fixed by the engine on a CPU; a GPU's has half."""


class CacheEviction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Forgetting of the tokens that matter least, so that long texts keep to a part of the cache.

    Each is a multiple of 32, which is a block of the cache, and `max_tokens` is more than the two
    others together. Source: `CacheEvictionConfig` of OpenVINO GenAI.
    """

    start_tokens: Count = 32
    """Tokens at the beginning that are kept."""
    recent_tokens: Count = 128
    """Tokens at the end that are kept."""
    max_tokens: Count = 672
    """Tokens that are kept in all, of a completion and its prompt."""

    def __post_init__(self) -> None:
        kept = (self.start_tokens, self.recent_tokens, self.max_tokens)
        if any(tokens % BLOCK_TOKENS for tokens in kept):
            raise ValueError(f"cache_eviction counts tokens in multiples of {BLOCK_TOKENS}")
        ends = self.start_tokens + self.recent_tokens
        if self.max_tokens <= ends:
            raise ValueError(
                "cache_eviction.max_tokens must be more than start_tokens and recent_tokens "
                f"together, which are {ends}"
            )


class Speculation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Guessing several tokens ahead, which one step then verifies."""

    draft_model: str | None = None
    """A model of the same tokenizer that guesses, by its name in the repository; requests must ask
    for a temperature of 0 then. Unset: the guess is what followed the same tokens earlier in the
    text (prompt lookup)."""
    tokens: Annotated[int, msgspec.Meta(ge=1, le=64)] = 5
    """Tokens to guess at a time."""
    max_ngram_size: Annotated[int, msgspec.Meta(ge=1, le=64)] = 3
    """Of prompt lookup: how many of the last tokens are looked for at most."""


class Adapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A LoRA adapter."""

    file: str
    """Its safetensors file, in the model's folder; the names of its tensors are those of PEFT."""
    alpha: float = 1.0
    """How strongly it counts."""


class SamplingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sampling where requests leave it open, over what `generation_config.json` says."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    """How random the choice of tokens is; 0 takes the likeliest."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """The likeliest tokens that have this probability together are chosen from."""
    top_k: Count | None = None
    """So many of the likeliest tokens are chosen from."""
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Tokens are chosen from that have this part of the likeliest one's probability."""
    repetition_penalty: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Over 1: tokens that were there already are less likely."""
    max_tokens: Count | None = None
    """Tokens of a completion at most."""


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
    kv_cache_bytes: Count = 1 << 30
    """Size of the key-value cache of one replica, a draft model's included; rounded down to whole
    blocks. It is taken from the system as it fills."""
    kv_cache_precision: KvPrecision = "auto"
    """Number format of the key-value cache; `auto` is `f32` if `reproducible`, else what the
    model's files say, else the device's own choice."""
    cache_eviction: CacheEviction | None = None
    """Forgetting in long texts; unset: none. Not with `enable_prefix_caching` or `speculation`."""
    speculation: Speculation | None = None
    """Guessing ahead; unset: none. Not with `enable_prefix_caching`."""
    adapters: dict[str, Adapter] = {}
    """LoRA adapters by name; requests choose one by `MODEL:ADAPTER`. Not with
    `enable_prefix_caching`."""
    replicas: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Workers of the model."""
    threads: Count | None = None
    """Inference threads of a replica; unset: a thread for each of its processors."""
    cpus: tuple[str, ...] = ()
    """Processors that each replica in turn is kept to, as in `0-7,16`; none: all."""
    numa_nodes: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    """NUMA node that each replica in turn has its processors and memory on; none: any."""
    memory_limit_bytes: Count | None = None
    """Memory that a worker may allocate, the whole key-value cache included though it fills only
    later; a load that needs more fails. Unset: no limit."""
    idle_unload_seconds: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Time without a request after which the model is unloaded; unset: the server's setting."""
    pinned: bool = False
    """Whether it is never unloaded for want of memory or for being idle."""
    chat_template: str | None = None
    """File in the model's folder with the chat template to use in place of the model's own."""
    sampling: SamplingSettings = SamplingSettings()
    """Sampling where requests leave it open."""
    max_num_seqs: Count = 256
    """Sequences in a batch at most."""
    max_num_batched_tokens: Count = 256
    """Tokens in a step at most; a longer prompt is prefilled in several steps. With a draft model
    it is the context's length at least."""
    enable_prefix_caching: bool | None = None
    """Whether prompts with a common beginning share its key-value blocks; unset: they do, unless
    the model has `cache_eviction`, `speculation` or `adapters`, with which they can't."""
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
    fake_load_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Of the fake engine: how long a load takes; nothing but the end of its process ends it."""
    fake_load_failure: FakeLoadFailure | None = None
    """Of the fake engine: why a load fails; with `die` the process ends without a word."""
    fake_memory_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of the fake engine: memory that a loaded model has."""

    @property
    def caches_prefixes(self) -> bool:
        """Whether prompts with a common beginning share their key-value blocks."""
        if self.enable_prefix_caching is not None:
            return self.enable_prefix_caching
        return not (self.cache_eviction or self.adapters or self.speculation)

    def contradictions(self) -> list[str]:
        """Return what can't be used together, a line each: the engine answers wrongly or fails."""
        prefixes = self.enable_prefix_caching
        drafts = self.speculation and self.speculation.draft_model
        precision = self.kv_cache_precision
        inexact = self.reproducible and precision not in ("auto", "f32")
        excluded = {
            "cache_eviction and enable_prefix_caching": self.cache_eviction and prefixes,
            "cache_eviction and speculation": self.cache_eviction and self.speculation,
            "adapters and enable_prefix_caching": self.adapters and prefixes,
            "speculation and enable_prefix_caching": self.speculation and prefixes,
            "speculation.draft_model and adapters": drafts and self.adapters,
            f"reproducible and a kv_cache_precision of {precision}": inexact,
        }
        found = [f"{both} can't be used together" for both, asked in excluded.items() if asked]
        if self.speculation and self.speculation.tokens >= self.max_num_batched_tokens:
            found.append("speculation.tokens must be less than max_num_batched_tokens")
        return found
