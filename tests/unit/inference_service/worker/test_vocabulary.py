from __future__ import annotations

import pytest

from inference_service.worker.vocabulary import Vocabulary

WORDS = ["a", "\u2581the", "<0x0A>", "</s>", "[TOOL_CALLS]", "<|channel|>"]
SPECIAL = {3, 4, 5}
PADDING = len(WORDS) + 10


class Tokenizer:
    """A tokenizer of a few tokens, one of which its vocabulary doesn't tell."""

    def get_vocab(self) -> dict[bytes, int]:
        return {word.encode(): i for i, word in enumerate(WORDS) if i != 4}

    def decode(self, batch: list[list[int]], *, skip_special_tokens: bool) -> list[str]:
        return [
            "".join(WORDS[i] for i in ids if not (skip_special_tokens and i in SPECIAL))
            for ids in batch
        ]


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(Tokenizer(), {3})


def test_special_tokens_have_no_bytes_in_the_table(vocabulary: Vocabulary) -> None:
    assert vocabulary.table == [b"a", "\u2581the".encode(), b"<0x0A>", b"", b"", b""]


def test_markers_are_special_tokens_of_the_model_that_end_no_sequence(
    vocabulary: Vocabulary,
) -> None:
    texts = ["<|channel|>", "[TOOL_CALLS]", "</s>", "a", "<|nothing|>"]
    assert vocabulary.markers(texts) == {4: "[TOOL_CALLS]", 5: "<|channel|>"}


@pytest.mark.parametrize(
    ("token_id", "exact", "spaced"),
    [
        (0, b"a", b"a"),
        (1, "\u2581the".encode(), b" the"),
        (2, b"<0x0A>", b"\n"),
        (3, b"</s>", b"</s>"),
        (4, b"[TOOL_CALLS]", b"[TOOL_CALLS]"),
        (PADDING, b"", b""),
    ],
)
def test_bytes_of_a_token_are_those_of_its_text(
    vocabulary: Vocabulary, token_id: int, exact: bytes, spaced: bytes
) -> None:
    assert vocabulary.token_bytes(token_id, spaced=False) == exact
    assert vocabulary.token_bytes(token_id, spaced=True) == spaced
