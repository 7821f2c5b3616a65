"""A process that the launcher starts, watches and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openvino_server_cli import tether
from openvino_server_cli.log_file import last_problems


@dataclass(frozen=True)
class Program:
    """What to start.

    Attributes:
        name: What the user calls it.
        command: The program and its arguments.
        environment: Variables beside those of this process.
        log: Where its output goes; the log of the run before is kept as `….1`.

    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path


class Child:
    """A running program, in a session of its own, that can't outlive this process."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self.pid = process.pid
        self.ended = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(cls, program: Program) -> Child:
        """Start a program."""
        if program.log.exists():
            program.log.replace(program.log.with_name(f"{program.log.name}.1"))
        with program.log.open("xb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid())),
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **program.environment},
                start_new_session=True,
            )
        return cls(program, process)

    def terminate(self) -> None:
        """Ask it to end."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it, and all that it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Say how it ended."""
        code = self.ended.result()
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def ended_cleanly(self) -> bool:
        """Whether it ended as it was asked to."""
        return self.ended.result() in (0, -signal.SIGTERM)

    def where_to_look(self) -> str:
        """Name its log, and give the last lines of it that tell of problems."""
        lines = last_problems(self.program.log)
        return f"see {self.program.log}" + "".join(f"\n  {line}" for line in lines)
