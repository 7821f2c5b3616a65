"""A worker's loop in a thread, with the service's end of its socket in the test's hands."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.fake import FakePipeline
from inference_service.worker.interface import Pipeline
from inference_service.worker.loop import Connection, serve

TIMEOUT_SECONDS = 10
SAMPLING = frames.Sampling(
    temperature=0.0,
    top_p=1.0,
    top_k=None,
    min_p=0.0,
    seed=0,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    repetition_penalty=1.0,
    max_tokens=None,
    min_tokens=0,
    stop=(),
    ignore_eos=False,
)


class RunningLoop:
    """The loop's thread, and the other end of its socket."""

    def __init__(self, pipeline: Pipeline, context_length: int) -> None:
        self.pipeline = pipeline
        self.error: BaseException | None = None
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(TIMEOUT_SECONDS)
        self._buffer = frames.FrameBuffer()
        self._frames: list[list[frames.FromWorker]] = []
        self._thread = threading.Thread(target=self._run, args=(theirs, context_length))
        self._thread.start()

    def _run(self, sock: socket.socket, context_length: int) -> None:
        with sock:
            try:
                serve(Connection(sock), self.pipeline, context_length)
            except Exception as error:
                self.error = error

    def send(self, *messages: frames.ToWorker) -> None:
        self._socket.sendall(frames.encode_frame(list(messages)))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def frame(self) -> list[frames.FromWorker]:
        """Wait for the next frame; there is none (`EOFError`) when the loop has ended."""
        while not self._frames:
            data = self._socket.recv(1 << 16)
            if not data:
                raise EOFError
            self._frames += map(frames.decode_from_worker, self._buffer.feed(data))
        return self._frames.pop(0)

    def frames_until(self, kind: type) -> list[list[frames.FromWorker]]:
        """Wait for the frame that holds such a message; return it and those before."""
        seen = [self.frame()]
        while not any(isinstance(message, kind) for message in seen[-1]):
            seen.append(self.frame())
        return seen

    def hang_up(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def joined(self) -> bool:
        self._thread.join(TIMEOUT_SECONDS)
        return not self._thread.is_alive()


@pytest.fixture
def sampling() -> frames.Sampling:
    """Greedy sampling with nothing else asked."""
    return SAMPLING


@pytest.fixture
def run_loop() -> Iterator[Callable[..., RunningLoop]]:
    """Give a function that runs the loop, by default over a fake pipeline."""
    with ExitStack() as stack:

        def run(
            pipeline: Pipeline | None = None, *, context_length: int = 1000, **settings: object
        ) -> RunningLoop:
            pipeline = pipeline or FakePipeline(ModelSettings(engine="fake", **settings))
            loop = RunningLoop(pipeline, context_length)
            stack.callback(loop.joined)
            stack.callback(loop.close)
            return loop

        yield run
