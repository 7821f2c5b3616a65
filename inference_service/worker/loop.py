"""The worker's loop: drain the inbox, step, send one frame; when idle, block on the inbox."""

from __future__ import annotations

import contextlib
import select
import socket

from inference_service.engine import frames
from inference_service.worker.admission import invalid
from inference_service.worker.batch import Batch
from inference_service.worker.interface import Pipeline, RequestRefused, TextTooLong

_RECEIVE_BYTES = 1 << 18


class Wakeup:
    """What ends a wait for the service, from any thread. A context manager."""

    def __init__(self) -> None:
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self._woken.close()
        self._waker.close()

    def set(self) -> None:
        """End the wait, or the next one."""
        with contextlib.suppress(OSError):  # full of wakes already, or the loop has ended
            self._waker.send(b"\0")

    def wait(self, sock: socket.socket) -> bool:
        """Wait until the socket can be read; return `False` if it was `set` that ended it."""
        poll = select.poll()
        for waited_for in (sock, self._woken):
            poll.register(waited_for, select.POLLIN)
        poll.poll()
        try:
            return not self._woken.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return True


class Connection:
    """The worker's end of the socket to the service: blocking writes, reads as asked."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = frames.FrameBuffer()

    def send(self, messages: list[frames.FromWorker]) -> None:
        """Send messages as one frame; blocks while the service is behind."""
        self._socket.sendall(frames.encode_frame(messages))

    def receive(self, *, block: bool, wakeup: Wakeup | None = None) -> list[frames.ToWorker] | None:
        """Return what has arrived; with `block`, wait until something has, or for the wake-up.

        Returns:
            Messages in order, perhaps none; `None` when the service has closed the socket.

        """
        messages: list[frames.ToWorker] = []
        while True:
            if block and not messages and wakeup and not wakeup.wait(self._socket):
                return messages
            flags = 0 if block and not messages else socket.MSG_DONTWAIT
            try:
                data = self._socket.recv(_RECEIVE_BYTES, flags)
            except BlockingIOError:
                return messages
            if not data:
                return None
            for body in self._buffer.feed(data):
                messages.extend(frames.decode_to_worker(body))


def serve(connection: Connection, pipeline: Pipeline, context_length: int) -> None:
    """Run requests until the service closes the socket.

    Raises:
        Exception: A step raised; the pipeline is unusable and the process has to end.

    """
    # Closed with frames unread is a hang-up like any.
    with contextlib.suppress(ConnectionError), Wakeup() as wakeup:
        batch = Batch(pipeline, context_length, wakeup.set)
        while (inbox := connection.receive(block=not batch.busy, wakeup=wakeup)) is not None:
            outbox = [answer for message in inbox for answer in _answer(batch, pipeline, message)]
            outbox += batch.advance()
            if batch.busy:
                outbox += batch.step()
            if outbox:
                connection.send(outbox)


def _answer(batch: Batch, pipeline: Pipeline, message: frames.ToWorker) -> list[frames.FromWorker]:
    match message:
        case frames.Submit():
            return batch.submit(message)
        case frames.Cancel(request_id):
            batch.cancel(request_id)
            return []
        case frames.Encode(request_id, text, add_special_tokens):
            try:
                token_ids = pipeline.encode(text, add_special_tokens=add_special_tokens)
            except (TextTooLong, RequestRefused) as error:
                return [invalid(request_id, "text", str(error))]
            return [frames.Encoded(request_id, tuple(token_ids))]
        case frames.Decode(request_id, ids, skip_special_tokens):
            try:
                text = pipeline.decode(ids, skip_special_tokens=skip_special_tokens)
            except ValueError as error:
                return [
                    frames.Rejected(
                        request_id,
                        "INVALID_ARGUMENT",
                        f"token_ids: {error}",
                        {"field": "token_ids"},
                    )
                ]
            return [frames.Decoded(request_id, text)]
        case frames.Load() | frames.Embed() | frames.Rerank() | frames.CheckGrammar():
            raise ValueError(f"a worker of this kind has no answer to {type(message).__name__}")
