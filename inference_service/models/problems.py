"""Loads that fail, and when they are tried again."""

from __future__ import annotations

import time

from inference_service.domain import LoadFailure, LoadFailureCause

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 300.0
# Files that don't change fail as they did.
_PERMANENT = frozenset(
    {
        LoadFailureCause.INVALID_FILES,
        LoadFailureCause.INVALID_SETTINGS,
        LoadFailureCause.UNSUPPORTED,
    }
)


class LoadProblem(Exception):
    """A model could not be loaded.

    Attributes:
        failure: Why.

    """

    def __init__(self, failure: LoadFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Backoff:
    """When a load that failed is tried again unasked: each time, twice as much later."""

    def __init__(self) -> None:
        self._seconds = _FIRST_RETRY_SECONDS
        self._until = 0.0

    def failed(self) -> None:
        """Take note of a load that failed."""
        self._until = time.monotonic() + self._seconds
        self._seconds = min(2 * self._seconds, _LONGEST_RETRY_SECONDS)

    def over(self, failure: LoadFailure) -> bool:
        """Whether another load makes sense after the last, which failed so."""
        return failure.cause not in _PERMANENT and time.monotonic() >= self._until
