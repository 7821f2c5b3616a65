from __future__ import annotations

import signal

import pytest

from inference_service.domain import LoadFailure, LoadFailureCause
from inference_service.engine.failure import death

DIED, NO_MEMORY = LoadFailureCause.WORKER_DIED, LoadFailureCause.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("exit_signal", "said", "kernel", "cause", "words"),
    [
        (None, None, False, DIED, "the worker died while it loaded the model"),
        (None, None, True, DIED, "the worker died while it loaded the model"),
        (signal.SIGSEGV, None, True, DIED, "died while it loaded the model of SIGSEGV"),
        (signal.SIGABRT, None, False, DIED, "died while it loaded the model of SIGABRT"),
        (signal.SIGABRT, "std::bad_alloc", False, NO_MEMORY, "want of memory: std::bad_alloc"),
        (None, "MemoryError", False, NO_MEMORY, "want of memory: MemoryError"),
        (signal.SIGKILL, None, False, DIED, "it was killed, perhaps for want of memory"),
        (signal.SIGKILL, None, True, NO_MEMORY, "for want of memory: the kernel ended it"),
    ],
)
def test_death_is_for_want_of_memory_only_with_evidence(
    exit_signal: int | None, said: str | None, kernel: bool, cause: LoadFailureCause, words: str
) -> None:
    error = death(exit_signal, said, killed_for_memory=kernel)
    assert error.failure == LoadFailure(cause, str(error))
    assert str(error).endswith(words)
