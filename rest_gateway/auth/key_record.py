"""What is kept of a key, and how the file of keys says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rest_gateway.auth.scopes import DEFAULT_SCOPES


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key.

    Attributes:
        id: Names the key in logs and commands; not secret.
        name: What its owner calls it.
        hash: HMAC-SHA256 of the key, in hexadecimal.
        created: When it was made.
        revoked: When it stopped to be valid; None while it is valid.
        scopes: What it may be used for. What this version doesn't know is kept, and allows nothing.

    """

    id: str
    name: str
    hash: str = field(repr=False)
    created: datetime
    revoked: datetime | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES


def record_to_json(record: KeyRecord) -> dict[str, Any]:
    """Write a record as the file has it."""
    return {
        "id": record.id,
        "name": record.name,
        "hash": record.hash,
        "created": record.created.isoformat(),
        "revoked": record.revoked.isoformat() if record.revoked else None,
        "scopes": list(record.scopes),
    }


def record_from_json(entry: dict[str, Any]) -> KeyRecord:
    """Read a record; one without scopes was made before there were any.

    Raises:
        ValueError, KeyError, TypeError: It is not one.

    """
    revoked = entry["revoked"]
    scopes = entry.get("scopes", DEFAULT_SCOPES)
    if not isinstance(scopes, list | tuple) or not all(isinstance(scope, str) for scope in scopes):
        raise ValueError("scopes are not a list of texts")
    return KeyRecord(
        id=entry["id"],
        name=entry["name"],
        hash=entry["hash"],
        created=datetime.fromisoformat(entry["created"]),
        revoked=datetime.fromisoformat(revoked) if revoked else None,
        scopes=tuple(scopes),
    )
