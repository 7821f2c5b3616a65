from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference_service.worker.text import (
    Detokenizer,
    StopMatcher,
    TableDetokenizer,
    WindowDetokenizer,
)

BYTES = [bytes([byte]) for byte in range(256)]
UNICODE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"))


@st.composite
def cut(draw: st.DrawFn, whole: Sequence[int] | str) -> list[Sequence[int] | str]:
    """Cut a sequence into pieces, some of them empty."""
    places = draw(st.lists(st.integers(0, len(whole)), max_size=8).map(sorted))
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


def decode_bytes(token_ids: list[int]) -> str:
    return bytes(token_ids).decode("utf-8", "replace")


def detokenizers() -> list[Detokenizer]:
    return [TableDetokenizer(BYTES), WindowDetokenizer(decode_bytes)]


def push_all(detokenizer: Detokenizer, pieces: Sequence[Sequence[int]]) -> list[str]:
    return [*(detokenizer.push(piece) for piece in pieces), detokenizer.flush()]


@given(st.data(), UNICODE)
def test_text_is_exact_however_it_is_cut(data: st.DataObject, text: str) -> None:
    pieces = data.draw(cut(list(text.encode())))
    for detokenizer in detokenizers():
        assert "".join(push_all(detokenizer, pieces)) == text


@given(UNICODE)
@example("né 😀 中文")
@example("👩\u200d👩\u200d👧 e\u0301")
def test_each_character_comes_whole_and_at_once(text: str) -> None:
    """A token a time, a character comes with its last byte, and never a part of it."""
    for detokenizer in detokenizers():
        for character in text:
            *first, last = character.encode()
            assert [detokenizer.push([byte]) for byte in first] == [""] * len(first)
            assert detokenizer.push([last]) == character
        assert detokenizer.flush() == ""


@given(st.data(), st.binary())
def test_table_replaces_bytes_that_are_not_utf8(data: st.DataObject, raw: bytes) -> None:
    pieces = data.draw(cut(list(raw)))
    text = "".join(push_all(TableDetokenizer(BYTES), pieces))
    whole = raw.decode("utf-8", "replace")
    # A character that the end cuts off is left out; it is the only difference there can be.
    assert whole in (text, text + "\ufffd")


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_character_that_the_end_cuts_off_is_left_out(missing: int) -> None:
    token_ids = list("ok 😀".encode())[:-missing]
    for detokenizer in detokenizers():
        assert "".join(push_all(detokenizer, [token_ids])) == "ok "


def test_byte_that_is_never_utf8_is_replaced() -> None:
    for detokenizer in detokenizers():
        assert "".join(push_all(detokenizer, [[0xFF], list(b"a")])) == "\ufffda"


def test_special_tokens_have_no_text() -> None:
    detokenizer = TableDetokenizer([*BYTES, b""])
    first, second = "é".encode()
    assert [detokenizer.push([token]) for token in (first, 256, second)] == ["", "", "é"]


WORDS = ["", "\u2581", "\u2581a", "b", "\u2581\u2581", "c\u2581", "."]


@given(st.lists(st.integers(0, len(WORDS) - 1)))
def test_window_keeps_spaces_that_depend_on_the_place(token_ids: list[int]) -> None:
    """As SentencePiece does: a marker is a space, but the text's first one is dropped."""

    def decode(ids: list[int]) -> str:
        return "".join(WORDS[i] for i in ids).replace("\u2581", " ").removeprefix(" ")

    detokenizer = WindowDetokenizer(decode)
    text = "".join(detokenizer.push([token_id]) for token_id in token_ids) + detokenizer.flush()
    assert text == decode(token_ids)


def test_window_stays_small() -> None:
    longest = 0

    def decode(ids: list[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return decode_bytes(ids)

    detokenizer = WindowDetokenizer(decode)
    for byte in b"word " * 100:
        detokenizer.push([byte])
    assert longest <= 2


# Few letters, so that stops occur, overlap and hold one another.
LETTERS = st.text("ab", max_size=30)
STOPS = st.lists(st.text("ab", min_size=1, max_size=5), max_size=4)


def first_stop(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """What a `StopMatcher` promises, by looking at every beginning of the whole text."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            longest = max(complete, key=len)  # ends here, so began first
            return text[: end - len(longest)], longest
    return text, None


@given(st.data(), LETTERS, STOPS)
def test_first_stop_is_found_however_the_text_is_cut(
    data: st.DataObject, text: str, stops: list[str]
) -> None:
    matcher = StopMatcher(stops)
    given_out, matched = "", None
    for piece in data.draw(cut(text)):
        more, matched = matcher.push(piece)
        given_out += more
        if matched:
            break
    else:
        given_out += matcher.flush()
    assert (given_out, matched) == first_stop(text, stops)


@given(LETTERS, STOPS)
def test_only_what_may_begin_a_stop_is_held_back(text: str, stops: list[str]) -> None:
    matcher = StopMatcher(stops)
    taken = ""
    shown = 0
    for letter in text:
        taken += letter
        more, matched = matcher.push(letter)
        shown += len(more)
        if matched:
            return
        held = taken[shown:]
        assert held == "" or any(stop.startswith(held) for stop in stops)


def test_held_text_comes_at_the_end_once() -> None:
    matcher = StopMatcher(["STOP"])
    assert matcher.push("full ST") == ("full ", None)
    assert (matcher.flush(), matcher.flush()) == ("ST", "")


def test_of_two_stops_complete_at_once_the_longer_is_matched() -> None:
    assert StopMatcher(["bc", "abc"]).push("xabcd") == ("x", "abc")
    assert StopMatcher(["abcd", "bc"]).push("xabcd") == ("xa", "bc")


MARKERS = {7: "<|call|>"}


def test_table_shows_markers_and_no_other_special_token() -> None:
    table = [*(bytes([byte]) for byte in b"abcde"), b"", b"", b""]
    detokenizer = TableDetokenizer(table, MARKERS)
    assert detokenizer.push([0, 5, 7, 1, 99]) == "a<|call|>b"


@given(st.data(), st.lists(st.integers(0, 7), max_size=20))
def test_window_shows_markers_however_it_is_cut(data: st.DataObject, token_ids: list[int]) -> None:
    """The first word of a text has no space before it, and a marker is no word."""

    def decode(ids: list[int]) -> str:
        return " ".join("abcdef"[i] for i in ids if i < 6)

    detokenizer = WindowDetokenizer(decode, MARKERS)
    text = "".join(push_all(detokenizer, data.draw(cut(token_ids))))
    assert text.replace("<|call|>", "") == decode(token_ids)
    assert [len(part.replace(" ", "")) for part in text.split("<|call|>")] == [
        sum(i < 6 for i in part) for part in split(token_ids)
    ]


def split(token_ids: list[int]) -> list[list[int]]:
    """Split a list at the marker."""
    parts: list[list[int]] = [[]]
    for token_id in token_ids:
        if token_id in MARKERS:
            parts.append([])
        else:
            parts[-1].append(token_id)
    return parts
