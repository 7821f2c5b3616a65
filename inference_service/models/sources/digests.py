"""Checksums that whoever asks for a model wants its files to have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from inference_service.models.sources.errors import ModelRefused


class Digests:
    """The SHA-256 that files must have, by their path at the source.

    Args:
        sha256: Pairs of path and digest in lower-case hexadecimal.

    """

    def __init__(self, sha256: Iterable[tuple[str, str]] = ()) -> None:
        self._expected = dict(sha256)
        self._checked: set[str] = set()

    def check(self, path: str, file: Path) -> None:
        """Check a file that was fetched; one that no digest is known of passes.

        Raises:
            ModelRefused: It has another digest.

        """
        if path in self._expected:
            self.compare(path, sha256_of(file))

    def compare(self, path: str, actual: str) -> None:
        """Check a file by its digest; one that no digest is known of passes.

        Raises:
            ModelRefused: It is another.

        """
        expected = self._expected.get(path, actual)
        if actual != expected:
            raise ModelRefused(
                f"{path} is not the file that was expected: its SHA-256 is {actual}, not {expected}"
            )
        self._checked.add(path)

    def require_all(self) -> None:
        """Check that there was a file for each digest.

        Raises:
            ModelRefused: There was none for some.

        """
        if missing := sorted(self._expected.keys() - self._checked):
            raise ModelRefused(
                f"a SHA-256 was given for {', '.join(missing)}, which is not among what is fetched"
            )


def sha256_of(file: Path) -> str:
    """Give the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()
