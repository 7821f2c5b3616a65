"""Tells whether grammars compile, by a process where one that doesn't harms nobody."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from inference_service import domain
from inference_service.engine import frames
from inference_service.engine.failure import LoadError, LoadRefusedError
from inference_service.engine.process import EngineProcess
from inference_service.errors import InvalidArgument, QueueFull, Unsupported, WorkerLost

# Without the folder that the service runs in, where a file could pass for a package.
GRAMMAR_COMMAND = (sys.executable, "-P", "-m", "inference_service.worker.grammar")
_START_SECONDS = 120
_WAITING_CHECKS = 64
_VERDICTS = 4096
_VERDICT_BYTES = 8 << 20
# A check is bounded by its processor time. One that hangs without taking any, or on a machine that
# gives it hardly any, holds up those behind it no longer than `wall_seconds`.
_WALL_FACTOR = 3
_SHORT_WALL_SECONDS = 10.0
_SHORT_WALL_FACTOR = 10

_log = structlog.get_logger(__name__)
_Key: TypeAlias = tuple[str, str]


def wall_seconds(limit_seconds: float) -> float:
    """Return how long a check may last that may take so much processor time.

    The less it may take, the more times as long: a busy machine pauses short checks for as long.
    """
    short = min(_SHORT_WALL_FACTOR * limit_seconds, _SHORT_WALL_SECONDS)
    return max(short, _WALL_FACTOR * limit_seconds)


class GrammarProcess(EngineProcess):
    """A running grammar process."""

    async def problem(self, grammar: frames.Grammar) -> str | None:
        """Return what is wrong with a grammar, or `None` if it compiles.

        Raises:
            WorkerLost: The process died before it answered.

        """
        answer = await self._call(lambda i: frames.CheckGrammar(i, grammar))
        assert isinstance(answer, frames.GrammarChecked)
        return answer.problem

    async def died_of(self) -> int | None:
        """Wait until the process has ended and return the signal that ended it, if one did."""
        await self.stop()
        return self.exit_signal


class Verdicts:
    """What is known of grammars: the latest used, bounded in number and bytes."""

    def __init__(self, limit: int = _VERDICTS, limit_bytes: int = _VERDICT_BYTES) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._problems: OrderedDict[_Key, str | None] = OrderedDict()

    def __contains__(self, key: _Key) -> bool:
        return key in self._problems

    def __getitem__(self, key: _Key) -> str | None:
        self._problems.move_to_end(key)
        return self._problems[key]

    def __setitem__(self, key: _Key, problem: str | None) -> None:
        if key in self._problems:
            self._bytes -= _size(key, self._problems.pop(key))
        self._problems[key] = problem
        self._bytes += _size(key, problem)
        while len(self._problems) > self._limit or self._bytes > self._limit_bytes:
            self._bytes -= _size(*self._problems.popitem(last=False))


def _size(key: _Key, problem: str | None) -> int:
    # Python keeps a text in up to 4 bytes a character; more than that is not worth counting.
    return 4 * (len(key[1]) + len(problem or ""))


@dataclass(slots=True)
class _Check:
    task: asyncio.Task[str | None]
    waiters: int = 0


class GrammarChecker:
    """Checks the grammars of a model, one at a time, in a process that it starts when needed.

    Whoever makes one awaits `stop`.

    Args:
        model: The model's name.
        load: What the model's workers are told to load.
        command: What to run as the process.

    """

    def __init__(
        self, model: str, load: frames.Load, *, command: Sequence[str] = GRAMMAR_COMMAND
    ) -> None:
        self._model = model
        self._load = load
        self._command = command
        self._limit_seconds = load.settings.grammar_compile_seconds
        self._wall_seconds = wall_seconds(self._limit_seconds)
        self._process: GrammarProcess | None = None
        self._one_at_a_time = asyncio.Lock()
        self._checks: dict[_Key, _Check] = {}
        self._verdicts = Verdicts()
        self._stopped = False
        self._log = _log.bind(model=model)

    @property
    def pid(self) -> int | None:
        """The process id; `None` while there is no process."""
        process = self._process
        return process.pid if process and not process.lost.done() else None

    async def check(self, grammar: domain.Grammar) -> None:
        """Return when a grammar is known to compile.

        Raises:
            InvalidArgument: It doesn't, or not within the model's `grammar_compile_seconds`.
            QueueFull: As many grammars as may wait are waiting.
            Unsupported: The model's tokenizer can't be used for grammars.
            WorkerLost: The process could not be started, was ended by another, or is to run no
                more.

        """
        key = (grammar.kind, grammar.source)
        problem = self._verdicts[key] if key in self._verdicts else await self._share(key, grammar)
        if problem is not None:
            raise InvalidArgument(grammar.field, problem)

    async def stop(self) -> None:
        """End the checks that run, and wait until the process is gone; there will be no other."""
        self._stopped = True  # a request whose time to end is over may still come with a grammar
        tasks = [check.task for check in self._checks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._process:
            self._process.kill()
            await self._process.stop()
            self._process = None

    async def _share(self, key: _Key, grammar: domain.Grammar) -> str | None:
        """Wait for the one check of a grammar, however many ask for it at once."""
        if self._stopped:
            raise WorkerLost(self._model)
        check = self._checks.get(key)
        if check is None or check.task.done():
            if len(self._checks) >= _WAITING_CHECKS:
                raise QueueFull(self._model, _WAITING_CHECKS)
            source = frames.Grammar(grammar.kind, grammar.source)
            check = _Check(asyncio.create_task(self._run(key, source), name="grammar-check"))
            self._checks[key] = check
            check.task.add_done_callback(lambda task: self._end(key, task))
        check.waiters += 1
        try:
            return await asyncio.shield(check.task)
        except asyncio.CancelledError:
            if check.task.cancelled():  # by `stop`, not this waiter
                raise WorkerLost(self._model) from None
            raise
        finally:
            check.waiters -= 1

    def _end(self, key: _Key, task: asyncio.Task[str | None]) -> None:
        if self._checks[key].task is task:
            del self._checks[key]
        if not task.cancelled():
            task.exception()  # each waiter has it; where none is left, it is nobody's

    async def _run(self, key: _Key, grammar: frames.Grammar) -> str | None:
        async with self._one_at_a_time:
            if not self._checks[key].waiters:
                return None  # all of them have gone
            process = await self._started()
            try:
                async with asyncio.timeout(self._wall_seconds):
                    problem = await process.problem(grammar)
            except TimeoutError:  # perhaps the machine's fault: not remembered
                process.kill()
                await process.stop()
                self._log.warning("grammar.killed", pid=process.pid, kind=grammar.kind)
                return _too_long(self._wall_seconds)
            except WorkerLost:
                problem = await self._reason(process, grammar)
            except asyncio.CancelledError:
                process.kill()
                raise
            self._verdicts[key] = problem
            return problem

    async def _started(self) -> GrammarProcess:
        if self._process and not self._process.lost.done():
            return self._process
        if self._process:
            await self._process.stop()
            self._process = None
        try:
            self._process = await GrammarProcess.start(
                self._model, self._load, timeout_seconds=_START_SECONDS, command=self._command
            )
        except LoadRefusedError as error:
            self._log.warning("grammar.load_refused", cause=str(error))
            message = f"model {self._model!r} can't be held to a grammar; the server's log says why"
            raise Unsupported("constraint", message) from error
        except LoadError as error:
            self._log.error("grammar.load_failed", cause=str(error))
            raise WorkerLost(self._model) from error
        return self._process

    async def _reason(self, process: GrammarProcess, grammar: frames.Grammar) -> str:
        """Return what a grammar did to the process that died of it.

        Raises:
            WorkerLost: It was something else that ended the process.

        """
        died_of = await process.died_of()
        self._log.warning("grammar.lost", pid=process.pid, kind=grammar.kind, signal=died_of)
        if died_of == signal.SIGPROF:
            return _too_long(self._limit_seconds)
        if died_of in (signal.SIGKILL, signal.SIGTERM):  # somebody's doing, or the system's
            raise WorkerLost(self._model)
        return "the grammar compiler could not take it"


def _too_long(seconds: float) -> str:
    return f"takes longer than {seconds:g} s to compile"
