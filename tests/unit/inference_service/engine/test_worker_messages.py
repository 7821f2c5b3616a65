"""What goes to a worker and comes from it that the fake engine has no use for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from inference_service.domain import (
    Event,
    Finished,
    FinishReason,
    Grammar,
    Started,
    TextDelta,
    TokenLogprob,
)
from inference_service.engine import frames
from inference_service.engine.worker import Worker
from inference_service.errors import InvalidArgument, KvCacheExhausted, Unsupported

BIG = 1 << 20
AnyCall = Callable[..., Any]

# A worker that says what the fake engine can't: it answers whatever it is sent with one rejection.
REJECTING = """
import socket, sys
from inference_service.engine import frames
from inference_service.worker.loop import Connection
connection = Connection(socket.socket(fileno=int(sys.argv[1])))
connection.receive(block=True)
connection.send([frames.Ready(*(0 for _ in frames.Ready.__struct_fields__))])
(request,) = connection.receive(block=True)
connection.send([frames.Rejected(request.request_id, *{rejection!r})])
connection.receive(block=True)
"""


# One that tells all that a worker can, whatever it is asked.
RICH = """
import socket, sys
from inference_service.engine import frames
from inference_service.worker.loop import Connection
connection = Connection(socket.socket(fileno=int(sys.argv[1])))
connection.receive(block=True)
connection.send([frames.Ready(*(0 for _ in frames.Ready.__struct_fields__))])
(r,) = connection.receive(block=True)
text = f"{r.grammar.kind} {r.grammar.source} {r.markers} {r.sampling.n}"
logprobs = (frames.TokenLogprob(7, b"\\xc3", -0.5),)
connection.send([
    frames.Started(r.request_id, 3, 2),
    *(frames.Delta(r.request_id, index, text, 1, logprobs) for index in (0, 1)),
    *(frames.Finished(r.request_id, index, "length", 3, 5, "stop", 2) for index in (1, 0)),
])
connection.receive(block=True)
"""


class Shouting:
    """A parser that makes text upper case, and knows of reasoning."""

    def push(self, delta: TextDelta) -> list[Event]:
        return [replace(delta, text=delta.text.upper())]

    def finish(self, finished: Finished) -> list[Event]:
        return [replace(finished, reasoning_tokens=4)]


@pytest.mark.parametrize(
    ("rejection", "error", "metadata"),
    [
        (
            ("KV_CACHE_EXHAUSTED", "too small", {"prompt_tokens": 5}),
            KvCacheExhausted,
            {"model": "m", "prompt_tokens": "5"},
        ),
        (("UNSUPPORTED", "no", {"feature": "f"}), Unsupported, {"feature": "f"}),
        (
            ("INVALID_ARGUMENT", "sampling: no", {"field": "sampling"}),
            InvalidArgument,
            {"field": "sampling"},
        ),
    ],
)
async def test_rejection_has_its_meaning(
    sampling: frames.Sampling,
    load: AnyCall,
    read: AnyCall,
    rejection: tuple[object, ...],
    error: type[Exception],
    metadata: dict[str, str],
) -> None:
    worker = await Worker.start(
        "m",
        load(),
        timeout_seconds=20,
        command=(sys.executable, "-c", REJECTING.format(rejection=rejection)),
    )
    try:
        with pytest.raises(error) as caught:
            await read(worker.submit("a", sampling, BIG))
    finally:
        await worker.stop()
    assert str(caught.value) == rejection[1]
    assert caught.value.metadata == metadata  # type: ignore[attr-defined]


async def test_all_that_is_asked_and_told_goes_over_the_wire(
    sampling: frames.Sampling, load: AnyCall
) -> None:
    """Asked: grammar, markers, n. Told: log-probabilities, cached tokens, each completion's end."""
    worker = await Worker.start(
        "m", load(), timeout_seconds=20, command=(sys.executable, "-c", RICH)
    )
    try:
        stream = worker.submit(
            "p",
            msgspec.structs.replace(sampling, n=2, logprobs=True),
            BIG,
            grammar=Grammar("regex", "a+", field="tools"),
            markers=("<x>",),
            parser=Shouting,
        )
        events = [event async for batch in stream for event in batch]
    finally:
        await worker.stop()
    logprobs = (TokenLogprob(7, b"\xc3", -0.5),)
    assert events[0] == Started(3, 2)
    assert TextDelta(1, "REGEX A+ ('<X>',) 2", 1, logprobs) in events
    ends = [event for event in events if isinstance(event, Finished)]
    assert ends == [
        Finished(index, FinishReason.LENGTH, 3, 5, "stop", 2, reasoning_tokens=4)
        for index in (1, 0)
    ]
