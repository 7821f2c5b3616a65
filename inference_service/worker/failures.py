"""Why a model could not be loaded, told from what was raised."""

from __future__ import annotations

from typing import Literal, TypeAlias

from inference_service.engine import frames

Kind: TypeAlias = Literal["invalid_files", "invalid_settings", "unsupported", "out_of_memory"]


class LoadFailure(Exception):
    """The model can't be loaded, and it is known why.

    Attributes:
        kind: A `LoadFailureCause` of the domain.

    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load_failed(error: Exception) -> frames.LoadFailed:
    """Return what the service is told of an exception that ended a load."""
    if isinstance(error, LoadFailure):
        return frames.LoadFailed(str(error), error.kind)
    if isinstance(error, MemoryError):
        return frames.LoadFailed("there is not enough memory", "out_of_memory")
    return frames.LoadFailed(f"{type(error).__name__}: {error}")
