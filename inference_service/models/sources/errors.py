"""What can go wrong when a model is fetched.

PullError
├── InvalidName, InvalidSource, InvalidOption, ModelExists   what was asked for
├── SourceNotAllowed, SourceNotFound, SourceUnreachable      where it comes from
├── ModelRefused                                             what was found there
├── NotEnoughSpace                                           this machine
└── ConversionFailed                                         the engine
"""

from __future__ import annotations

_LONGEST_MESSAGE = 1000


class PullError(Exception):
    """A model couldn't be fetched. The message is one line for the user."""

    def __init__(self, message: str) -> None:
        # Sources choose names of files, and some of what is said of them: of any length, and with
        # what a terminal takes for an order.
        shown = "".join(char if char.isprintable() else " " for char in message[:_LONGEST_MESSAGE])
        super().__init__(f"{shown}…" if len(message) > _LONGEST_MESSAGE else shown)


class InvalidName(PullError):
    """A model's name has characters that it may not have."""


class InvalidSource(PullError):
    """The text does not name a source."""


class InvalidOption(PullError):
    """The source can't be asked for this.

    Attributes:
        field: What was asked, by its name in `PullRequest`.

    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ModelExists(PullError):
    """There is a model of that name, or one is being fetched."""


class SourceNotAllowed(PullError):
    """The source may not be used here, or does not let this machine have what was asked for."""


class SourceNotFound(PullError):
    """The source is reachable and does not have what was asked for."""


class SourceUnreachable(PullError):
    """Nothing answered where the source should be."""


class ModelRefused(PullError):
    """What the source has is not what was promised, or not a model that the engine can run."""


class NotEnoughSpace(PullError):
    """The disk has too little room.

    Attributes:
        needed_bytes: What is to be written, with what must stay free; None where not known.
        free_bytes: What is free; None where not known.

    """

    def __init__(
        self, message: str, needed_bytes: int | None = None, free_bytes: int | None = None
    ) -> None:
        super().__init__(message)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class ConversionFailed(PullError):
    """The engine couldn't turn the model into its own format, or compress its weights."""
