from __future__ import annotations

import pytest

from inference_service.domain import LoadFailure, LoadFailureCause
from inference_service.models.problems import Backoff


def test_backoff_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("inference_service.models.problems.time.monotonic", lambda: clock)
    backoff, failure = Backoff(), LoadFailure(LoadFailureCause.WORKER_DIED, "died")
    assert backoff.over(failure)
    backoff.failed()
    assert not backoff.over(failure)
    clock = 1.0
    assert backoff.over(failure)
