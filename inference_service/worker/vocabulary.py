"""What each token of a model stands for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_SPACE = "\u2581".encode()  # how SentencePiece writes a space
_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")  # how it writes a byte that no token has


class Vocabulary:
    """The tokens of a model.

    Args:
        tokenizer: The model's tokenizer.
        ends: The ids of the tokens that end a sequence.

    """

    def __init__(self, tokenizer: Any, ends: Collection[int]) -> None:
        vocabulary: Mapping[bytes, int] = tokenizer.get_vocab()
        by_id = {token_id: token for token, token_id in vocabulary.items()}
        ids = range(max(by_id) + 1)
        single = [[token_id] for token_id in ids]
        plain = tokenizer.decode(single, skip_special_tokens=True)
        whole = tokenizer.decode(single, skip_special_tokens=False)
        special = {i: whole[i] for i in ids if whole[i] and not plain[i]}
        self._special = special
        self._markers = {text: i for i, text in special.items() if i not in ends}
        self.table: Sequence[bytes] = [
            b"" if i in special else by_id.get(i, plain[i].encode()) for i in ids
        ]
        """The bytes of each token id; empty for special tokens."""

    def markers(self, texts: Sequence[str]) -> dict[int, str]:
        """Return those of the texts that are special tokens, and end no sequence, by id."""
        return {self._markers[text]: text for text in texts if text in self._markers}

    def token_bytes(self, token_id: int, *, spaced: bool) -> bytes:
        """Return the bytes of a token, and none for an id that only pads the vocabulary.

        Args:
            token_id: The token.
            spaced: Whether tokens are written as SentencePiece writes them.

        """
        if token_id in self._special:
            return str(self._special[token_id]).encode()
        if token_id >= len(self.table):
            return b""
        token = self.table[token_id]
        if not spaced:
            return token
        if byte := _BYTE.fullmatch(token):
            return bytes.fromhex(byte[1].decode())
        return token.replace(_SPACE, b" ")
