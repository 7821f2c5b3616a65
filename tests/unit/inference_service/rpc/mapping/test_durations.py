from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from inference_service.errors import InvalidArgument
from inference_service.rpc import mapping
from inference_service.rpc.mapping.durations import MAX_SECONDS


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (Duration(), 0),
        (Duration(seconds=1, nanos=500_000_000), 1.5),
        (Duration(seconds=-1, nanos=-500_000_000), -1.5),
        (Duration(nanos=-1), -1e-9),
        (Duration(seconds=MAX_SECONDS), MAX_SECONDS),
        (Duration(seconds=-MAX_SECONDS), -MAX_SECONDS),
    ],
)
def test_durations(duration: Duration, seconds: float) -> None:
    assert mapping.seconds_from_proto(duration, "keep_alive") == seconds


@pytest.mark.parametrize(
    "duration",
    [
        Duration(seconds=MAX_SECONDS + 1),
        Duration(seconds=-MAX_SECONDS - 1),
        Duration(seconds=2**63 - 1),
        Duration(seconds=-(2**63)),
        Duration(seconds=1, nanos=-1),
        Duration(seconds=-1, nanos=1),
        Duration(nanos=1_000_000_000),
        Duration(nanos=-1_000_000_000),
    ],
)
def test_what_is_no_duration(duration: Duration) -> None:
    with pytest.raises(InvalidArgument) as caught:
        mapping.seconds_from_proto(duration, "keep_alive")
    assert caught.value.metadata == {"field": "keep_alive"}


def test_waits_are_not_negative() -> None:
    assert mapping.wait_from_proto(Duration(nanos=1), "drain_timeout") == 1e-9
    with pytest.raises(InvalidArgument):
        mapping.wait_from_proto(Duration(nanos=-1), "drain_timeout")
