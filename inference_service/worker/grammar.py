"""The grammar process: `python -m inference_service.worker.grammar FD`, started by the service.

It compiles grammars where a failure harms nobody: one that doesn't parse would poison the shared
pipeline for good. A check that uses more processor time than the model's settings allow ends the
process by SIGPROF; memory is bounded too. The service starts it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Protocol

from inference_service.engine import frames
from inference_service.worker import process
from inference_service.worker.failures import load_failed
from inference_service.worker.loop import Connection

_MEMORY_BYTES = 1 << 30  # what a check may take beyond what the process has when it is ready


class Compiler(Protocol):
    """What tells whether a grammar compiles."""

    def problem(self, grammar: frames.Grammar) -> str | None:
        """Return what is wrong with a grammar, or `None` if it compiles."""
        ...


class FakeCompiler:
    """A compiler that looks at little, for tests of everything around it.

    A source that ends with `!hang` never ends, with `!spin` doesn't either and takes processor
    time, and with `!crash` aborts the process.
    """

    def problem(self, grammar: frames.Grammar) -> str | None:
        """See `Compiler`."""
        while grammar.source.endswith("!hang"):
            signal.pause()
        while grammar.source.endswith("!spin"):
            pass
        if grammar.source.endswith("!crash"):
            os.abort()
        match grammar.kind:
            case "regex":
                try:
                    re.compile(grammar.source)
                except re.error as error:
                    return str(error)
            case "json_schema" | "structural_tag":
                try:
                    value = json.loads(grammar.source)
                except ValueError as error:
                    return str(error)
                return None if isinstance(value, dict) else "it is not an object"
            case "ebnf":
                return None if "root ::=" in grammar.source else 'there is no rule "root"'
        return None


def _compiler(load: frames.Load) -> Compiler:
    if load.settings.engine == "fake":
        return FakeCompiler()
    from inference_service.worker.compiler import OpenVinoCompiler

    return OpenVinoCompiler(load.model_dir)


def _serve(connection: Connection, load: frames.Load) -> int:
    """Load the compiler, then check grammars until the service hangs up."""
    started = time.monotonic()
    try:
        compiler = _compiler(load)
    except Exception as error:  # noqa: BLE001  whatever it is, the service is told
        connection.send([load_failed(error)])
        return 1
    _bound_memory()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    connection.send([frames.Ready(time.monotonic() - started, 0)])
    with contextlib.suppress(ConnectionError):  # closed with frames unread: a hang-up like any
        while (inbox := connection.receive(block=True)) is not None:
            for message in inbox:
                if not isinstance(message, frames.CheckGrammar):
                    raise TypeError(f"a grammar process has no answer to {type(message).__name__}")
                signal.setitimer(signal.ITIMER_PROF, load.settings.grammar_compile_seconds)
                problem = compiler.problem(message.grammar)
                signal.setitimer(signal.ITIMER_PROF, 0)
                connection.send([frames.GrammarChecked(message.request_id, problem)])
    return 0


def _bound_memory() -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    sys.exit(process.run(_serve))
