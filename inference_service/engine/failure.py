"""Why a process of the engine did not come as far as to answer requests."""

from __future__ import annotations

import signal

from inference_service.domain import LoadFailure, LoadFailureCause


class LoadError(Exception):
    """A process did not get as far as to answer requests; the message says why.

    Attributes:
        cause: Why, for programs.

    """

    def __init__(self, message: str, cause: LoadFailureCause) -> None:
        super().__init__(message)
        self.cause = cause

    @property
    def failure(self) -> LoadFailure:
        """The same as a value."""
        return LoadFailure(self.cause, str(self))


class LoadRefusedError(LoadError):
    """The process itself said that the model can't be loaded."""


def death(exit_signal: int | None, no_memory: str | None, *, killed_for_memory: bool) -> LoadError:
    """Say what became of a process that ended by itself, or by another, while it loaded.

    A process that is killed may have been so for want of memory, but only its own words and the
    kernel's count are evidence of that.

    Args:
        exit_signal: The signal that ended it, if one did.
        no_memory: What it said of memory that it could not have.
        killed_for_memory: Whether meanwhile the kernel ended a process for want of memory.

    """
    what = "the worker died while it loaded the model"
    killed = exit_signal == signal.SIGKILL
    if no_memory or (killed and killed_for_memory):
        why = no_memory or "the kernel ended it"
        return LoadError(f"{what}, for want of memory: {why}", LoadFailureCause.OUT_OF_MEMORY)
    if killed:
        what += ": it was killed, perhaps for want of memory"
    elif exit_signal is not None:
        what += f" of {signal.Signals(exit_signal).name}"
    return LoadError(what, LoadFailureCause.WORKER_DIED)
