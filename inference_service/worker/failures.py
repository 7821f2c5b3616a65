"""Why a model could not be loaded, told from what was raised."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from inference_service.engine import frames
from inference_service.worker.messages import cleaned

Kind: TypeAlias = Literal["invalid_files", "invalid_settings", "unsupported", "out_of_memory"]

# The engine raises `RuntimeError` for everything; only its words tell what it is.
_WORDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "out_of_memory",
        re.compile(
            r"bad_alloc|bad allocation|Cannot allocate memory|failed to map segment"
            r"|Resource temporarily unavailable"  # no room for a thread's stack
            r"|(?:larger|more memory) than available"
        ),
    ),
    (
        "invalid_settings",
        re.compile(
            r"is not registered in the OpenVINO Runtime|as device id|Cannot load library"
            r"|for property key|Unsupported property|Tokenizers for draft and main"
        ),
    ),
    (
        "unsupported",
        re.compile(
            r"doesn't contain the operation|supposed to be stateful|SDPAToPagedAttention"
            r"|(?:is|are) not supported|[Uu]nsupported|No supported cache types"
        ),
    ),
)
# The path of a file of the engine or of the model, of which the name is enough.
_FOLDERS = re.compile(r'"/[^"]*/([^"/]+)"')


class LoadFailure(Exception):
    """The model can't be loaded, and it is known why.

    Attributes:
        kind: A `LoadFailureCause` of the domain.

    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load_failed(error: Exception) -> frames.LoadFailed:
    """Return what the service is told of an exception that ended a load: a line, and its kind."""
    if isinstance(error, LoadFailure):
        return frames.LoadFailed(_line(str(error)), error.kind)
    if isinstance(error, MemoryError):
        return frames.LoadFailed("there is not enough memory", "out_of_memory")
    text = str(error)
    kind: Kind = next((kind for kind, words in _WORDS if words.search(text)), "invalid_files")
    message = _FOLDERS.sub(r'"\1"', _line(cleaned(text))) or type(error).__name__
    if not isinstance(error, RuntimeError):
        message = f"{type(error).__name__}: {message}"
    if kind == "out_of_memory":
        message = f"there is not enough memory: {message}"
    return frames.LoadFailed(message, kind)


def _line(text: str) -> str:
    return " ".join(text.split())
