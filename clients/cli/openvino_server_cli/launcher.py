"""Runs the tiers: starts them, waits until they answer, ends them in order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from openvino_server_cli.child import Child, Program
from openvino_server_cli.errors import Failure
from openvino_server_cli.health import Health
from openvino_server_cli.model_states import ModelStates
from openvino_server_cli.steps import Step, Steps

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.1
_WATCH_SECONDS = 1.0


class Interrupted(Exception):
    """The user did not want to wait for the end."""


@dataclass(frozen=True)
class Limits:
    """How long to wait.

    Attributes:
        ready_seconds: For the tiers to answer.
        drain_seconds: For one tier to end after it was asked to.

    """

    ready_seconds: float
    drain_seconds: float


class Launcher:
    """Programs that live and end together.

    Args:
        programs: What to run, in the order of the start; the end is the other way round.
        probe: Asks whether all of them answer.
        models: What is known of the models.
        limits: How long to wait.
        steps: Where to tell the user.

    """

    def __init__(
        self,
        programs: Sequence[Program],
        probe: Callable[[], Awaitable[Health]],
        models: ModelStates,
        limits: Limits,
        steps: Steps,
    ) -> None:
        self._programs = programs
        self._probe = probe
        self._models = models
        self._limits = limits
        self._steps = steps
        self._children: list[Child] = []
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until a signal asks to end.

        Args:
            on_ready: Called once all answer.

        Raises:
            Failure: A program ended by itself, was not ready in time, can't load a model, or did
                not end in order.
            Interrupted: A second signal came while the programs were ending.

        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            for program in self._programs:
                self._children.append(await Child.start(program))
            if await self._wait_until_ready(stopped):
                on_ready()
                await self._wait_for_an_end(stopped)
            if unclean := await self._drain():
                raise Failure(f"not stopped in order: {'; '.join(unclean)}")
        finally:
            stopped.cancel()
            for child in self._children:
                child.kill()
            await asyncio.gather(*(child.ended for child in self._children))
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._kill.set()
        self._stop.set()

    async def _wait_until_ready(self, stopped: asyncio.Future[Any]) -> bool:
        """Wait for readiness; false when a signal came first."""
        deadline = time.monotonic() + self._limits.ready_seconds
        with self._steps.step("server") as step:
            while not stopped.done():
                health = await self._ask(stopped)
                if health.ready:
                    step.result = "ready"
                    return True
                self._models.require_loadable(health)
                reason = self._models.reason(health)
                step.update("waiting until it answers" + (f": {reason}" if reason else ""))
                await self._wait([stopped], _POLL_SECONDS)
                self._require_all_running("before the server was ready")
                if time.monotonic() > deadline:
                    logs = ", ".join(str(child.program.log) for child in self._children)
                    raise Failure(
                        f"the server did not answer within {self._limits.ready_seconds:.0f} s; "
                        f"see {logs}"
                    )
            step.result = "interrupted"
        return False

    async def _ask(self, stopped: asyncio.Future[Any]) -> Health:
        probe = asyncio.ensure_future(self._probe())
        try:
            await self._wait([stopped, probe], None)
            return probe.result() if probe.done() else Health(reached=False)
        finally:
            probe.cancel()

    async def _wait_for_an_end(self, stopped: asyncio.Future[Any]) -> None:
        watch = asyncio.ensure_future(self._tell_changes())
        try:
            await self._wait([stopped, watch], None)
            if watch.done():
                watch.result()
        finally:
            watch.cancel()
        try:
            self._require_all_running("while the server was running")
        except Failure:
            await self._drain()
            raise

    async def _tell_changes(self) -> None:
        """Tell of each change in what the server can answer, until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            # A log that is gone or a certificate that changed is no reason to end the server.
            with suppress(OSError):
                for line in self._models.changes(await self._probe()):
                    self._steps.say(line)

    async def _wait(self, others: Sequence[asyncio.Future[Any]], seconds: float | None) -> None:
        """Wait for one of these or the end of a program, at most so long."""
        ends: list[asyncio.Future[Any]] = [child.ended for child in self._children]
        await asyncio.wait([*others, *ends], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _require_all_running(self, when: str) -> None:
        for child in self._children:
            if child.ended.done() and not self._stop.is_set():
                raise Failure(
                    f"the {child.program.name} {child.how_it_ended()} {when}; "
                    f"{child.where_to_look()}"
                )

    async def _drain(self) -> list[str]:
        """Let each program end, the last started first; give what did not go well."""
        unclean = []
        for child in reversed(self._children):
            if child.ended.done():
                continue
            with self._steps.step(f"stopping the {child.program.name}") as step:
                await self._end(child, step)
                step.result = child.how_it_ended()
            if not child.ended_cleanly():
                name, log = child.program.name, child.program.log
                unclean.append(f"the {name} {child.how_it_ended()} (see {log})")
        return unclean

    async def _end(self, child: Child, step: Step) -> None:
        """Ask a program to end, and end it when it takes too long."""
        killed = asyncio.ensure_future(self._kill.wait())
        deadline = time.monotonic() + self._limits.drain_seconds
        child.terminate()
        try:
            while not (child.ended.done() or killed.done()) and time.monotonic() < deadline:
                step.update("waiting for running requests")
                await asyncio.wait(
                    [child.ended, killed],
                    timeout=_POLL_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            killed.cancel()
        if self._kill.is_set():
            raise Interrupted
        if not child.ended.done():
            seconds = self._limits.drain_seconds
            self._steps.say(f"the {child.program.name} did not end within {seconds:.0f} s: killed")
        child.kill()
        await child.ended
