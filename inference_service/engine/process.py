"""A process of the engine: its start and end, the socket to it, and the answers it owes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeAlias, cast

import structlog

from inference_service.domain import LoadFailureCause
from inference_service.engine import frames
from inference_service.engine.failure import LoadError, LoadRefusedError, death
from inference_service.engine.memory import oom_kills
from inference_service.engine.output import log_output
from inference_service.engine.rejections import error_of
from inference_service.errors import WorkerLost

Answer: TypeAlias = (
    frames.Encoded | frames.Decoded | frames.Embedded | frames.Reranked | frames.GrammarChecked
)
_END_SECONDS = 5  # what a process that was hung up on has to end by itself; a step is far shorter

_log = structlog.get_logger(__name__)


class EngineProcess(asyncio.Protocol):
    """A running process that speaks frames, and the calls that it has to answer.

    Made by `start`. Whoever starts it awaits `stop`.

    Attributes:
        pid: The process id.
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
        self._calls: dict[int, asyncio.Future[Answer]] = {}
        self._ids = itertools.count(1)
        self._ready: asyncio.Future[frames.Ready] = asyncio.get_running_loop().create_future()
        self._owes_since: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._killed = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(
        cls, model: str, load: frames.Load, *, timeout_seconds: float, command: Sequence[str]
    ) -> Self:
        """Start a process and wait until it has loaded what it is told to.

        Args:
            model: The model's name, for the log and for errors.
            load: What to load.
            timeout_seconds: Time that it has to load.
            command: What to run; the number of the socket's file descriptor is added to it.

        Raises:
            LoadError: It could not be started or not load, took too long, or died meanwhile.

        """
        kills = oom_kills()
        try:
            self = await cls._spawned(model, command)
        except OSError as error:
            no_memory = error.errno == errno.ENOMEM
            cause = LoadFailureCause.OUT_OF_MEMORY if no_memory else LoadFailureCause.WORKER_DIED
            raise LoadError(f"no process could be started: {error}", cause) from error
        try:
            self._send(load)
            async with asyncio.timeout(timeout_seconds):
                self._ready_message = await self._ready
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                message = f"not loaded after {timeout_seconds:g} s"
                raise LoadError(message, LoadFailureCause.TIMEOUT) from error
            if isinstance(error, WorkerLost):
                exit_signal = None if self._killed else self.exit_signal
                more_kills = kills is not None and (oom_kills() or 0) > kills
                said = await self._output
                raise death(exit_signal, said, killed_for_memory=more_kills) from error
            raise
        load_seconds = round(self._ready_message.load_seconds, 2)
        self._log.info("worker.ready", pid=self.pid, load_seconds=load_seconds)
        return self

    @classmethod
    async def _spawned(cls, model: str, command: Sequence[str]) -> Self:
        """Start the process, and connect to it.

        Raises:
            OSError: There is no process, no memory or no file descriptor to be had.

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
            self = cls(model, process)
            ours.setblocking(False)
            try:
                await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
            except BaseException:
                self._ready.cancel()  # nobody waits for it
                self.kill()
                await process.wait()
                await self._output
                raise
        except BaseException:
            ours.close()
            raise
        return self

    @property
    def outstanding(self) -> int:
        """Requests that the process has not answered to the end."""
        return len(self._calls)

    @property
    def silent_seconds(self) -> float:
        """How long the process has owed a sign of progress; 0 when it owes none.

        A request that is cancelled takes nothing off: the step that frees it makes a frame too. So
        a process that hangs is found out though no caller waits as long as that takes.
        """
        return time.monotonic() - self._owes_since if self._owes_since is not None else 0.0

    @property
    def exit_signal(self) -> int | None:
        """The signal that ended the process, if one did."""
        code = self._process.returncode
        return -code if code is not None and code < 0 else None

    async def idle(self) -> None:
        """Wait until the process owes no answer; that it is lost ends all that it owed."""
        await self._idle.wait()

    def kill(self) -> None:
        """End the process at once."""
        self._killed = self._killed or self._process.returncode is None
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            self._process.kill()

    async def stop(self) -> None:
        """Hang up on the process and wait until it has ended; one that doesn't end is killed."""
        loaded = self._ready.done() and not (self._ready.cancelled() or self._ready.exception())
        if not loaded and not self.lost.done():  # one that hung up tells by itself what ended it
            self.kill()  # a load can't be interrupted otherwise
        self._transport.abort()
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
        """Keep the way to the process."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by shape only

    def data_received(self, data: bytes) -> None:
        """Pass on what the process sent."""
        for body in self._buffer.feed(data):
            for message in frames.decode_from_worker(body):
                self._receive(message)
        self._owes_since = time.monotonic() if self.outstanding else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that the process still owed."""
        del exc  # a reset or a clean end: the process is gone either way
        if not self._ready.done():
            self._ready.set_exception(WorkerLost(self._model))
        if not self.lost.done():
            self.lost.set_result(None)
        for call in self._calls.values():
            if not call.done():
                call.set_exception(WorkerLost(self._model))

    # --- for what derives ------------------------------------------------------------------

    def _receive(self, message: frames.FromWorker) -> None:
        """Take a message; those that are no answer to a call are taken by what derives."""
        match message:
            case frames.Ready():
                if not self._ready.done():
                    self._ready.set_result(message)
            case frames.LoadFailed(cause, kind):
                if not self._ready.done():
                    self._ready.set_exception(LoadRefusedError(cause, LoadFailureCause(kind)))
            case frames.Rejected(request_id):
                if (call := self._calls.pop(request_id, None)) and not call.done():
                    call.set_exception(error_of(message, self._model))
            case (
                frames.Encoded(request_id)
                | frames.Decoded(request_id)
                | frames.Embedded(request_id)
                | frames.Reranked(request_id)
                | frames.GrammarChecked(request_id)
            ):
                if (call := self._calls.pop(request_id, None)) and not call.done():
                    call.set_result(message)
            case _:
                raise ValueError(f"no process of this kind sends {type(message).__name__}")

    def _call(self, make: Callable[[int], frames.ToWorker]) -> asyncio.Future[Answer]:
        """Send the message made for an id at once, and return its answer to come.

        The process is told of an answer that is cancelled, so that it need not work for it.

        Raises:
            WorkerLost: The process is gone. The answer may raise it too, and what the process
                rejected it for.

        """
        request_id = self._next_id()
        call: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._calls[request_id] = call

        def done(call: asyncio.Future[Answer]) -> None:
            self._calls.pop(request_id, None)
            self._released()
            if call.cancelled() and not self.lost.done():
                self._send(frames.Cancel(request_id))

        call.add_done_callback(done)
        self._send(make(request_id))
        return call

    def _next_id(self) -> int:
        if self.lost.done():
            raise WorkerLost(self._model)
        if self._owes_since is None:
            self._owes_since = time.monotonic()
        self._idle.clear()
        return next(self._ids)

    def _released(self) -> None:
        """Note that something is no longer outstanding; for all that derives to call."""
        if not self.outstanding:
            self._idle.set()

    def _send(self, message: frames.ToWorker) -> None:
        self._transport.write(frames.encode_frame([message]))
