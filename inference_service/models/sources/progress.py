"""How a pull tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a pull has come.

    Attributes:
        stage: What happens now, in words for the user.
        completed_bytes: Bytes done of this stage; None where bytes don't tell.
        total_bytes: Bytes of this stage in all; None when not known.

    """

    stage: str
    completed_bytes: int | None = None
    total_bytes: int | None = None


Report = Callable[[Progress], None]
"""Takes progress several times a second. What it raises ends the pull."""
