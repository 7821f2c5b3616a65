from __future__ import annotations

import struct
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings

COUNT = st.integers(0, 2**32 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FINITE = st.floats(allow_nan=False)
SETTINGS = st.builds(
    ModelSettings,
    engine=st.sampled_from(["openvino", "fake"]),
    device=TEXT,
    reproducible=st.booleans(),
    context_length=st.none() | st.integers(1, 2**32),
    kv_cache_bytes=st.integers(1, 2**40),
    max_num_seqs=st.integers(1, 2**32),
    max_num_batched_tokens=st.integers(1, 2**32),
    enable_prefix_caching=st.booleans(),
    fake_step_seconds=st.floats(0, 10),
)
SAMPLING = st.builds(
    frames.Sampling,
    temperature=FINITE,
    top_p=FINITE,
    min_p=FINITE,
    presence_penalty=FINITE,
    frequency_penalty=FINITE,
    repetition_penalty=FINITE,
    top_k=st.none() | COUNT,
    seed=COUNT,
    max_tokens=st.none() | COUNT,
    min_tokens=COUNT,
    stop=st.lists(TEXT, max_size=3).map(tuple),
    ignore_eos=st.booleans(),
    n=COUNT,
    logprobs=st.booleans(),
)
KINDS = ["json_schema", "regex", "ebnf", "structural_tag"]
GRAMMAR = st.builds(frames.Grammar, kind=st.sampled_from(KINDS), source=TEXT)
LOGPROB = st.builds(
    frames.TokenLogprob, token_id=COUNT, token=st.binary(max_size=9), logprob=FINITE
)
IDS = st.lists(COUNT, max_size=9).map(tuple)
PLACEMENT = st.builds(frames.Placement, cpus=st.none() | IDS, numa_node=st.none() | COUNT)


def messages(kinds: object) -> st.SearchStrategy[list[object]]:
    """Build lists of messages of every kind, each field filled by its type."""
    strategies = {
        ModelSettings: SETTINGS,
        frames.Placement: PLACEMENT,
        frames.Sampling: SAMPLING,
        int: COUNT,
        float: FINITE,
        str: TEXT,
        bool: st.booleans(),
        str | None: st.none() | TEXT,
        int | None: st.none() | COUNT,
        bytes: st.binary(max_size=9),
        tuple[str, ...]: st.lists(TEXT, max_size=3).map(tuple),
        tuple[bytes, ...]: st.lists(st.binary(max_size=9), max_size=3).map(tuple),
        tuple[float, ...]: st.lists(FINITE, max_size=3).map(tuple),
        tuple[str | tuple[int, ...], ...]: st.lists(TEXT | IDS, max_size=3).map(tuple),
        tuple[frames.TokenLogprob, ...]: st.lists(LOGPROB, max_size=3).map(tuple),
        frames.Grammar: GRAMMAR,
        frames.Grammar | None: st.none() | GRAMMAR,
        tuple[int, ...]: IDS,
        str | tuple[int, ...]: TEXT | IDS,
        dict[str, int | str]: st.dictionaries(TEXT, COUNT | TEXT, max_size=3),
    }

    def build(kind: type) -> st.SearchStrategy[object]:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        return st.builds(
            kind,
            **{
                name: strategies[wanted]
                if wanted in strategies
                else st.sampled_from(get_args(wanted))  # a Literal
                for name, wanted in fields.items()
            },
        )

    return st.lists(st.one_of([build(kind) for kind in get_args(kinds)]), max_size=5)


@given(messages(frames.ToWorker))
def test_messages_to_a_worker_come_as_they_were(sent: list[frames.ToWorker]) -> None:
    (body,) = frames.FrameBuffer().feed(frames.encode_frame(sent))
    assert frames.decode_to_worker(body) == sent


@given(messages(frames.FromWorker))
def test_messages_from_a_worker_come_as_they_were(sent: list[frames.FromWorker]) -> None:
    (body,) = frames.FrameBuffer().feed(frames.encode_frame(sent))
    assert frames.decode_from_worker(body) == sent


@given(st.lists(messages(frames.FromWorker), max_size=3))
def test_frames_are_cut_from_single_bytes(sent: list[list[frames.FromWorker]]) -> None:
    buffer = frames.FrameBuffer()
    bodies = [
        body
        for frame in sent
        for byte in frames.encode_frame(frame)
        for body in buffer.feed(bytes([byte]))
    ]
    assert [frames.decode_from_worker(body) for body in bodies] == sent


@given(st.lists(st.binary(max_size=20), max_size=5), st.data())
def test_frames_are_cut_from_any_pieces(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    buffer = frames.FrameBuffer()
    seen: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        seen += buffer.feed(stream[:size])
        stream = stream[size:]
    assert seen == bodies


def test_frame_over_the_limit_is_refused_before_it_comes() -> None:
    with pytest.raises(ValueError, match=f"a frame of {frames.MAX_FRAME_BYTES + 1} bytes"):
        frames.FrameBuffer().feed(struct.pack(">I", frames.MAX_FRAME_BYTES + 1))
    assert frames.FrameBuffer().feed(struct.pack(">I", frames.MAX_FRAME_BYTES)) == []


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode([["Nonsense", 1]])])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        frames.decode_from_worker(body)


@pytest.mark.parametrize(
    "values",
    [
        {"max_num_seqs": 0},
        {"context_length": 0},
        {"kv_cache_bytes": 0},
        {"fake_step_seconds": -1},
        {"engine": "other"},
        {"no_such_setting": 1},
        {"reproducible": "yes"},
    ],
)
def test_settings_are_checked(values: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(values))):
        msgspec.convert(values, ModelSettings)
