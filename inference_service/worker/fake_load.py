"""The load of a fake model: how long it takes, what comes of it, and the memory that it has."""

from __future__ import annotations

import sys
import time

from inference_service.engine.settings import ModelSettings
from inference_service.worker.failures import LoadFailure


def fake_load(settings: ModelSettings) -> bytearray:
    """Load a fake model as its settings say.

    Returns:
        Its memory, all of it resident; whoever has the model keeps it.

    Raises:
        LoadFailure: It was asked to fail.
        MemoryError: There is no room for it.
        SystemExit: It was asked to die without a word.

    """
    time.sleep(settings.fake_load_seconds)  # stands for the reading and compiling of a model
    if settings.fake_load_failure == "die":
        sys.exit(1)
    if settings.fake_load_failure is not None:
        raise LoadFailure(settings.fake_load_failure, "the fake engine was asked to fail")
    return bytearray(b"\1") * settings.fake_memory_bytes
