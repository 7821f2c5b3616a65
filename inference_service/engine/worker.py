"""One engine worker process, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import cast

import structlog

from inference_service import domain
from inference_service.engine import frames
from inference_service.engine.output import log_output
from inference_service.engine.rejections import error_of
from inference_service.engine.stream import EventStream
from inference_service.errors import (
    WorkerLost,
)

WORKER_COMMAND = (sys.executable, "-m", "inference_service.worker")
_END_SECONDS = 5  # what a worker that was hung up on has to end by itself; a step is far shorter

_log = structlog.get_logger(__name__)


class LoadError(Exception):
    """A worker did not get as far as to answer requests; the message says why."""


class LoadRefusedError(LoadError):
    """The worker itself said that the model can't be loaded: its files are at fault."""


class Worker(asyncio.Protocol):
    """A running worker: the process, the socket to it, and the requests it works on.

    Made by `Worker.start`. Whoever starts it awaits `stop`.

    Attributes:
        pid: The process id.
        progress: The worker's own counts as of its last step.
        last_step: `time.monotonic()` at the last step, or `None` before the first.
        lost: Done when the process's socket is closed, for whatever reason.

    """

    _transport: asyncio.Transport
    _ready_message: frames.Ready

    def __init__(self, model: str, process: asyncio.subprocess.Process) -> None:
        self._model = model
        self._process = process
        self.pid = process.pid
        self._log = _log.bind(model=model)
        self._output = asyncio.create_task(log_output(process, self._log.bind(pid=process.pid)))
        self._buffer = frames.FrameBuffer()
        self._streams: dict[int, EventStream] = {}
        self._calls: dict[int, asyncio.Future[frames.Encoded | frames.Decoded]] = {}
        self._ids = itertools.count(1)
        self._ready: asyncio.Future[frames.Ready] = asyncio.get_running_loop().create_future()
        self._owes_since: float | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.progress = frames.Progress(0, 0, 0.0)
        self.last_step: float | None = None

    @classmethod
    async def start(
        cls,
        model: str,
        load: frames.Load,
        *,
        timeout_seconds: float,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> Worker:
        """Start a process and wait until it has loaded its model.

        Raises:
            LoadError: It could not be started or not load, took too long, or died meanwhile.

        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
            ours.setblocking(False)
            _, self = await asyncio.get_running_loop().create_unix_connection(
                lambda: cls(model, process), sock=ours
            )
        except OSError as error:  # no process, no memory, no file descriptors
            ours.close()
            raise LoadError(f"no process could be started: {error}") from error
        except BaseException:
            ours.close()
            raise
        try:
            self._send(load)
            async with asyncio.timeout(timeout_seconds):
                self._ready_message = await self._ready
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise LoadError(f"not loaded after {timeout_seconds:g} s") from error
            raise
        load_seconds = round(self._ready_message.load_seconds, 2)
        self._log.info("worker.ready", pid=self.pid, load_seconds=load_seconds)
        return self

    @property
    def longest_token_bytes(self) -> int:
        """Bytes of UTF-8 that one token stands for at most."""
        return self._ready_message.longest_token_bytes

    @property
    def outstanding(self) -> int:
        """Requests that the worker works on or holds back, running and waiting together."""
        return len(self._streams) + len(self._calls)

    @property
    def silent_seconds(self) -> float:
        """How long the worker has owed a sign of progress; 0 when it owes none.

        A request that is cancelled takes nothing off: the step that frees it makes a frame too. So
        a worker that hangs is found out though no caller waits as long as that takes.
        """
        return time.monotonic() - self._owes_since if self._owes_since is not None else 0.0

    def submit(
        self, prompt: str | tuple[int, ...], sampling: frames.Sampling, max_unread_bytes: int
    ) -> EventStream:
        """Start a request and return its events.

        Raises:
            WorkerLost: The process is gone.

        """
        request_id = self._next_id()

        def closed(still_running: bool) -> None:
            self._streams.pop(request_id, None)
            if still_running and not self.lost.done():
                self._send(frames.Cancel(request_id))

        stream = EventStream(max_unread_bytes, closed)
        self._streams[request_id] = stream
        self._send(frames.Submit(request_id, prompt, sampling))
        return stream

    async def encode(self, text: str, *, add_special_tokens: bool) -> tuple[int, ...]:
        """Turn text into token ids.

        Raises:
            WorkerLost: The process died before it answered.

        """
        answer = await self._call(lambda i: frames.Encode(i, text, add_special_tokens))
        assert isinstance(answer, frames.Encoded)
        return answer.token_ids

    async def decode(self, token_ids: tuple[int, ...], *, skip_special_tokens: bool) -> str:
        """Turn token ids into text.

        Raises:
            InvalidArgument: An id is outside the vocabulary.
            WorkerLost: The process died before it answered.

        """
        answer = await self._call(lambda i: frames.Decode(i, token_ids, skip_special_tokens))
        assert isinstance(answer, frames.Decoded)
        return answer.text

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            self._process.kill()

    async def stop(self) -> None:
        """Hang up on the process and wait until it has ended; one that doesn't end is killed."""
        self._transport.abort()
        if not self._ready.done() or self._ready.cancelled() or self._ready.exception():
            self.kill()  # a load can't be interrupted otherwise
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._log.warning("worker.killed", pid=self.pid, reason="it did not end by itself")
        finally:
            self.kill()  # also when the wait itself is cancelled
        await self._process.wait()
        await self._output

    # --- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the worker."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only

    def data_received(self, data: bytes) -> None:
        """Pass on what the worker sent."""
        for body in self._buffer.feed(data):
            for message in frames.decode_from_worker(body):
                self._receive(message)
        self._owes_since = time.monotonic() if self.outstanding else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that the worker still owed."""
        del exc  # a reset or a clean end: the process is gone either way
        if not self._ready.done():
            self._ready.set_exception(LoadError("the worker died while it loaded the model"))
        if not self.lost.done():
            self.lost.set_result(None)
        for stream in list(self._streams.values()):
            stream.fail(WorkerLost(self._model))
        for call in self._calls.values():
            if not call.done():
                call.set_exception(WorkerLost(self._model))

    # ----------------------------------------------------------------------------------------

    def _receive(self, message: frames.FromWorker) -> None:
        match message:
            case frames.Progress():
                if message.steps > self.progress.steps:
                    self.last_step = time.monotonic()
                self.progress = message
            case frames.Delta(request_id, index, text):
                self._push(request_id, domain.TextDelta(index, text))
            case frames.Started(request_id, prompt_tokens):
                self._push(request_id, domain.Started(prompt_tokens))
            case frames.Finished(request_id, index, reason, prompt, completion, matched):
                self._push(
                    request_id,
                    domain.Finished(
                        index, domain.FinishReason(reason), prompt, completion, matched
                    ),
                )
            case frames.Rejected(request_id):
                error = error_of(message, self._model)
                if stream := self._streams.get(request_id):
                    stream.fail(error)
                elif (call := self._calls.get(request_id)) and not call.done():
                    call.set_exception(error)
            case frames.Encoded(request_id) | frames.Decoded(request_id):
                if (call := self._calls.get(request_id)) and not call.done():
                    call.set_result(message)
            case frames.Ready():
                if not self._ready.done():
                    self._ready.set_result(message)
            case frames.LoadFailed(cause):
                if not self._ready.done():
                    self._ready.set_exception(LoadRefusedError(cause))

    def _push(self, request_id: int, event: domain.Event) -> None:
        if stream := self._streams.get(request_id):
            stream.push(event)

    async def _call(
        self, make: Callable[[int], frames.Encode | frames.Decode]
    ) -> frames.Encoded | frames.Decoded:
        request_id = self._next_id()
        call: asyncio.Future[frames.Encoded | frames.Decoded] = (
            asyncio.get_running_loop().create_future()
        )
        self._calls[request_id] = call
        try:
            self._send(make(request_id))
            return await call
        finally:
            del self._calls[request_id]

    def _next_id(self) -> int:
        if self.lost.done():
            raise WorkerLost(self._model)
        if self._owes_since is None:
            self._owes_since = time.monotonic()
        return next(self._ids)

    def _send(self, message: frames.ToWorker) -> None:
        self._transport.write(frames.encode_frame([message]))
