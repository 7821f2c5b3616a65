"""What goes with every call of the service."""

from __future__ import annotations


def metadata_of(request_id: str) -> tuple[tuple[str, str], ...]:
    """Name the request in the service's log."""
    return (("x-request-id", request_id),)
