"""Shows what a command does: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_LIVE_SECONDS = 0.1
_PLAIN_SECONDS = 2.0


class Step:
    """One thing that is being done.

    Attributes:
        result: How it ended, in a few words; set it before the end.

    """

    def __init__(self, steps: Steps, title: str) -> None:
        self._steps = steps
        self._title = title
        self._start = time.monotonic()
        self._shown = self._start
        self.result = "done"

    def update(self, text: str) -> None:
        """Say what happens now. Call it as often as you like: it writes only now and then."""
        now = time.monotonic()
        if now - self._shown < (_LIVE_SECONDS if self._steps.is_live else _PLAIN_SECONDS):
            return
        self._shown = now
        self._steps.show(f"{self._title}: {text} ({now - self._start:.0f} s)")

    def end(self) -> None:
        """Say how it ended, and how long it took if that was over a second."""
        elapsed = time.monotonic() - self._start
        duration = f" ({elapsed:.1f} s)" if elapsed > 1 else ""
        self._steps.say(f"{self._title}: {self.result}{duration}")


class Steps:
    """Writes steps and other lines to a stream, until nobody can read it any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self.is_live = stream.isatty()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show one step; its end is told only when it ends well."""
        step = Step(self, title)
        if self.is_live:
            self.show(f"{title} …")
        try:
            yield step
        except BaseException:
            self._clear()
            raise
        step.end()

    def show(self, text: str) -> None:
        """Show a line that the next one replaces, where that is possible."""
        if self.is_live:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")
        else:
            self._write(f"{text}\n")

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._clear()
        self._write(f"{text}\n")

    def _clear(self) -> None:
        if self.is_live:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # The terminal is gone or the pipe is closed; what runs must still be ended in order.
            self._stream = None
