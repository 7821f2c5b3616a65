"""What a completion says doesn't depend on how the engine groups its tokens into outputs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.completion import Completion, Piece
from inference_service.worker.fake import END_OF_SEQUENCE, SPECIAL_TOKENS, FakePipeline
from inference_service.worker.interface import Output
from tests.unit.inference_service.worker.conftest import SAMPLING

PIPELINE = FakePipeline(ModelSettings(engine="fake"))
MARKER = "<|channel|>"
replace = msgspec.structs.replace
SPOKEN = st.sampled_from([*b"abc.", *"é😀".encode(), SPECIAL_TOKENS[MARKER]])
STOPS = st.lists(st.sampled_from(["a", "ab", ".c", "bcd", "é", "a😀", MARKER]), max_size=3)


def completion(*stops: str, markers: Sequence[str] = ()) -> Completion:
    sampling = replace(SAMPLING, stop=stops, logprobs=True)
    return Completion(PIPELINE, frames.Submit(1, "", sampling, None, tuple(markers)))


def outputs(token_ids: Sequence[int], reason: str, cuts: Sequence[int]) -> list[Output]:
    """Cut tokens into outputs; a token's log-probability is its place, negative."""
    edges = sorted({0, *(cut % len(token_ids) for cut in cuts), len(token_ids)})
    return [
        Output(
            token_ids[start:end],
            reason if end == len(token_ids) else None,
            [-float(place) for place in range(start, end)],
        )
        for start, end in itertools.pairwise(edges)
    ]


def push(completion: Completion, made: Sequence[Output]) -> list[Piece]:
    pieces: list[Piece] = []
    for output in made:
        pieces.append(completion.push(output))
        if pieces[-1].reason:
            break
    return pieces


def whole(pieces: Sequence[Piece]) -> tuple[object, ...]:
    text = "".join(piece.text for piece in pieces)
    logprobs = tuple(logprob for piece in pieces for logprob in piece.logprobs)
    return text, logprobs, pieces[-1].reason, pieces[-1].matched_stop


@given(
    st.lists(SPOKEN, max_size=20),
    STOPS,
    st.sampled_from(["stop", "length"]),
    st.lists(st.integers(0, 99), max_size=9),
    st.booleans(),
)
def test_text_and_logprobs_do_not_depend_on_the_grouping(
    spoken: list[int], stops: list[str], reason: str, cuts: list[int], marked: bool
) -> None:
    token_ids = [*spoken, END_OF_SEQUENCE if reason == "stop" else ord("a")]
    markers = (MARKER,) if marked else ()
    one_by_one = completion(*stops, markers=markers)
    grouped = completion(*stops, markers=markers)
    expected = whole(push(one_by_one, outputs(token_ids, reason, range(len(token_ids)))))
    assert whole(push(grouped, outputs(token_ids, reason, cuts))) == expected
    assert grouped.tokens == one_by_one.tokens


@given(st.lists(SPOKEN, max_size=20), STOPS)
def test_logprobs_are_of_the_tokens_that_the_text_begins_in(
    spoken: list[int], stops: list[str]
) -> None:
    pieces = push(
        completion(*stops), outputs([*spoken, END_OF_SEQUENCE], "stop", range(len(spoken)))
    )
    text, logprobs, _, matched = whole(pieces)
    assert [p.logprob for p in logprobs] == [-float(place) for place in range(len(logprobs))]
    said = b"".join(p.token for p in logprobs if p.token_id < END_OF_SEQUENCE)
    assert said.decode("utf-8", "replace").startswith(text.rstrip("\ufffd"))
    if not matched:
        assert [p.token_id for p in logprobs] == spoken


def test_tokens_of_a_stop_text_and_the_end_have_no_logprobs() -> None:
    pieces = push(completion(".c"), outputs(b"ab.cd", "length", range(5)))
    assert [p.token for piece in pieces for p in piece.logprobs] == [b"a", b"b"]
    assert pieces[-1].matched_stop == ".c"
    pieces = push(completion(), outputs([97, END_OF_SEQUENCE], "stop", [1]))
    assert [p.token for piece in pieces for p in piece.logprobs] == [b"a"]


def test_tokens_held_back_travel_with_the_text_they_make() -> None:
    pieces = push(completion("bcd"), outputs("é-bc!".encode(), "length", range(7)))
    assert [(p.text, p.tokens, len(p.logprobs)) for p in pieces] == [
        ("", 1, 0),
        ("é", 2, 2),
        ("-", 1, 1),
        ("", 1, 0),
        ("", 2, 0),
        ("bc!", 3, 3),
    ]


def test_logprobs_without_text_come_at_the_end() -> None:
    hidden = SPECIAL_TOKENS[MARKER]
    pieces = push(completion(), outputs([97, hidden, END_OF_SEQUENCE], "stop", range(3)))
    assert [(p.text, len(p.logprobs)) for p in pieces] == [("a", 1), ("", 0), ("", 1)]
    assert pieces[-1].logprobs[0].token == MARKER.encode()


@pytest.mark.parametrize(
    ("markers", "text"),
    [((), "ab"), ((MARKER,), f"a{MARKER}b"), (("<nothing>",), "ab"), (("<end>",), "ab")],
)
def test_markers_alone_are_seen_and_never_the_end(markers: tuple[str, ...], text: str) -> None:
    token_ids = [97, SPECIAL_TOKENS[MARKER], SPECIAL_TOKENS["<|end|>"], 98, END_OF_SEQUENCE]
    pieces = push(completion(markers=markers), outputs(token_ids, "stop", range(5)))
    assert whole(pieces)[0] == text
