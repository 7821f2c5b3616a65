"""What is wrong with a schema or an expression."""

from __future__ import annotations


class Problem(Exception):
    """Something can't be enforced, or is no schema at all.

    Attributes:
        pointer: Where, as a JSON Pointer in a URI's fragment; empty for what has no parts.

    """

    def __init__(self, text: str, pointer: str = "") -> None:
        super().__init__(f"{pointer}: {text}" if pointer else text)
        self.pointer = pointer
