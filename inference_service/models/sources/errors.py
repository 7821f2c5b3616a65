"""What can go wrong when a model is fetched.

PullError
├── InvalidName, InvalidSource, ModelExists   what was asked for
├── SourceNotFound, SourceUnreachable         where it comes from
├── ModelRefused                              what was found there
├── NotEnoughSpace                            this machine
└── ConversionFailed                          the engine
"""

from __future__ import annotations


class PullError(Exception):
    """A model couldn't be fetched. The message is one line for the user."""


class InvalidName(PullError):
    """A model's name has characters that it may not have."""


class InvalidSource(PullError):
    """The text does not name a source."""


class ModelExists(PullError):
    """There is a model of that name."""


class SourceNotFound(PullError):
    """The source is reachable and does not have what was asked for."""


class SourceUnreachable(PullError):
    """Nothing answered where the source should be."""


class ModelRefused(PullError):
    """What the source has is not what was promised, or not a model that the engine can run."""


class NotEnoughSpace(PullError):
    """The disk has too little room."""


class ConversionFailed(PullError):
    """The engine couldn't turn the model into its own format."""
