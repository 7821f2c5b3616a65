"""The worker protocol: what the service and an engine worker say to each other.

Each way, the socket carries frames: a length of 4 bytes, big-endian, then a msgpack array of
messages. The first message to a worker is `Load`; the first from it is `Ready` or `LoadFailed`.
The end of the stream ends the worker.
"""

from __future__ import annotations

import struct
from typing import Annotated, Literal

import msgspec

_LENGTH = struct.Struct(">I")
MAX_FRAME_BYTES = 256 << 20


Count = Annotated[int, msgspec.Meta(ge=1)]


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `model.toml` in a model's folder may say; each has a default that suits most models."""

    engine: Literal["openvino", "fake"] = "openvino"
    """`fake` echoes prompts without a model, for tests of everything around the engine."""
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
    fake_step_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Of the fake engine: how long a step takes."""


# --- service to worker -------------------------------------------------------------------------


class Load(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Load the model in this folder."""

    model_dir: str
    settings: ModelSettings
    context_length: int


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


class Submit(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Generate a completion of a prompt, or of token ids."""

    request_id: int
    prompt: str | tuple[int, ...]
    sampling: Sampling


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


ToWorker = Load | Submit | Cancel | Encode | Decode

# --- worker to service -------------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The model is loaded; the worker takes requests."""

    load_seconds: float
    longest_token_bytes: int


class LoadFailed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The model can't be loaded; the worker ends."""

    cause: str


class Started(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A request is in the batch or waits for room in it."""

    request_id: int
    prompt_tokens: int


class Delta(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Text of one completion of a request."""

    request_id: int
    index: int
    text: str


class Finished(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """One completion of a request ended."""

    request_id: int
    index: int
    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    matched_stop: str | None


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


class Progress(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The worker's counts since its start; in every frame that a step makes."""

    steps: int
    generated_tokens: int
    kv_cache_usage: float


FromWorker = (
    Ready | LoadFailed | Started | Delta | Finished | Rejected | Encoded | Decoded | Progress
)

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(list[ToWorker])
_from_worker = msgspec.msgpack.Decoder(list[FromWorker])


def encode_frame(messages: list[ToWorker] | list[FromWorker]) -> bytes:
    """Encode messages as one frame, its length included."""
    body = _encoder.encode(messages)
    return _LENGTH.pack(len(body)) + body


class FrameBuffer:
    """Cuts a byte stream into the bodies of its frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes and return the frames that are whole now.

        Raises:
            ValueError: A frame claims more than `MAX_FRAME_BYTES`.

        """
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            bodies.append(bytes(buffer[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return bodies


def decode_to_worker(body: bytes) -> list[ToWorker]:
    """Decode the body of a frame sent to a worker."""
    return _to_worker.decode(body)


def decode_from_worker(body: bytes) -> list[FromWorker]:
    """Decode the body of a frame sent by a worker."""
    return _from_worker.decode(body)
