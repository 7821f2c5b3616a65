"""What a client sent, as an error's message may repeat it: as JSON, and short."""

from __future__ import annotations

from typing import Any

import msgspec

MAX_SHOWN = 100


def shorten(text: str) -> str:
    """Keep the first `MAX_SHOWN` characters."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def quoted(text: str) -> str:
    """Put a text in quotation marks, shortened."""
    return f"'{shorten(text)}'"


def as_json(value: Any) -> str:
    """Write a value as the client would, shortened."""
    return shorten(msgspec.json.encode(value).decode())
