"""The worker protocol: what the service and an engine worker say to each other.

Each way, the socket carries frames: a length of 4 bytes, big-endian, then a msgpack array of
messages. The first message to a worker is `Load`; the first from it is `Ready` or `LoadFailed`.
The end of the stream ends the worker.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from inference_service.engine.frame_buffer import MAX_FRAME_BYTES as MAX_FRAME_BYTES
from inference_service.engine.frame_buffer import FrameBuffer as FrameBuffer
from inference_service.engine.frame_buffer import framed
from inference_service.engine.settings import ModelSettings

# --- service to worker -------------------------------------------------------------------------


class Placement(msgspec.Struct, frozen=True, array_like=True):
    """Where a worker runs; `None` is anywhere."""

    cpus: tuple[int, ...] | None = None
    numa_node: int | None = None


class Load(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Load the model in this folder.

    `draft_model_dir` is the folder of the model that guesses ahead, if the settings name one.
    """

    model_dir: str
    settings: ModelSettings
    context_length: int
    kind: Literal["generation", "embedding", "rerank"] = "generation"
    draft_model_dir: str | None = None
    placement: Placement = Placement()


class Sampling(msgspec.Struct, frozen=True, array_like=True):
    """Sampling with every default filled in; see `SamplingParams` in inference.proto."""

    temperature: float
    top_p: float
    top_k: int | None
    min_p: float
    seed: int
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    max_tokens: int | None
    min_tokens: int
    stop: tuple[str, ...]
    ignore_eos: bool
    n: int = 1
    logprobs: bool = False


class Grammar(msgspec.Struct, frozen=True, array_like=True):
    """A form that the completion must have; see `Grammar` in the service's domain."""

    kind: Literal["json_schema", "regex", "ebnf", "structural_tag"]
    source: str


class Submit(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Generate completions of a prompt, or of token ids.

    The text of special tokens is left out, but for those named in `markers`. None are added to
    token ids. `adapter` is the name of one of the model's LoRA adapters.
    """

    request_id: int
    prompt: str | tuple[int, ...]
    sampling: Sampling
    grammar: Grammar | None = None
    markers: tuple[str, ...] = ()
    add_special_tokens: bool = False
    adapter: str | None = None


class Cancel(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Stop a request; nothing more is sent for it."""

    request_id: int


class Encode(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Turn text into token ids; answered by `Encoded`."""

    request_id: int
    text: str
    add_special_tokens: bool


class Decode(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Turn token ids into text; answered by `Decoded` or `Rejected`."""

    request_id: int
    token_ids: tuple[int, ...]
    skip_special_tokens: bool


class Embed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Turn texts, or token ids, into vectors; answered by `Embedded` or `Rejected`."""

    request_id: int
    inputs: tuple[str | tuple[int, ...], ...]


class Rerank(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Score documents by how well they answer a query; answered by `Reranked` or `Rejected`."""

    request_id: int
    query: str
    documents: tuple[str, ...]


class CheckGrammar(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Of a grammar process: compile a grammar; answered by `GrammarChecked`."""

    request_id: int
    grammar: Grammar


ToWorker = Load | Submit | Cancel | Encode | Decode | Embed | Rerank | CheckGrammar

# --- worker to service -------------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The model is loaded; the worker takes requests.

    Embedding models say how many components their vectors have.
    """

    load_seconds: float
    longest_token_bytes: int
    dimensions: int | None = None


class LoadFailed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The model can't be loaded; the worker ends. `kind` is a `LoadFailureCause` of the domain."""

    cause: str
    kind: Literal["invalid_files", "invalid_settings", "unsupported", "out_of_memory"] = (
        "invalid_files"
    )


class Started(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A request is in the batch or waits for room in it."""

    request_id: int
    prompt_tokens: int
    cached_tokens: int | None = None


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """A generated token, its bytes, and the natural logarithm of its probability."""

    token_id: int
    token: bytes
    logprob: float


class Delta(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Text of one completion of a request.

    `tokens` counts those generated since the last delta; `logprobs` has each, if asked for.
    """

    request_id: int
    index: int
    text: str
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class Finished(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """One completion of a request ended."""

    request_id: int
    index: int
    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    matched_stop: str | None
    cached_tokens: int | None = None


class Rejected(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A request can't be done; `reason` is a name of `ErrorReason`."""

    request_id: int
    reason: str
    message: str
    metadata: dict[str, int | str]


class Encoded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Encode`."""

    request_id: int
    token_ids: tuple[int, ...]


class Decoded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Decode`."""

    request_id: int
    text: str


class Embedded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Embed`: for each input a vector of unit length, as little-endian float32."""

    request_id: int
    vectors: tuple[bytes, ...]
    prompt_tokens: int


class Reranked(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Rerank`: for each document a score, 0 to 1."""

    request_id: int
    scores: tuple[float, ...]
    prompt_tokens: int


class GrammarChecked(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer to `CheckGrammar`; `problem` is the compiler's message if it doesn't compile."""

    request_id: int
    problem: str | None


class Progress(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The worker's counts since its start; in every frame that a step makes."""

    steps: int
    generated_tokens: int
    kv_cache_usage: float


FromWorker = (
    Ready
    | LoadFailed
    | Started
    | Delta
    | Finished
    | Rejected
    | Encoded
    | Decoded
    | Embedded
    | Reranked
    | GrammarChecked
    | Progress
)

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(list[ToWorker])
_from_worker = msgspec.msgpack.Decoder(list[FromWorker])


def encode_frame(messages: list[ToWorker] | list[FromWorker]) -> bytes:
    """Encode messages as one frame, its length included."""
    return framed(_encoder.encode(messages))


def decode_to_worker(body: bytes) -> list[ToWorker]:
    """Decode the body of a frame sent to a worker."""
    return _to_worker.decode(body)


def decode_from_worker(body: bytes) -> list[FromWorker]:
    """Decode the body of a frame sent by a worker."""
    return _from_worker.decode(body)
