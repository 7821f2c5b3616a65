"""A model that has workers, or is to have: what a request for it goes through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import jinja2

from inference_service.chat.format import ChatFormat
from inference_service.config import ServiceConfig
from inference_service.domain import LoadFailureCause
from inference_service.engine.frames import Load
from inference_service.engine.grammar import GrammarChecker
from inference_service.engine.memory import process_memory
from inference_service.engine.placement import placements
from inference_service.engine.replicas import Replicas
from inference_service.engine.worker import Worker
from inference_service.errors import ChatTemplateError, InvalidArgument, QueueFull
from inference_service.models.repository import InvalidModel, ModelFolder


class LoadedModel:
    """The running side of a model: its workers, its admission, how it is talked to.

    Attributes:
        folder: What is on disk.
        replicas: Its workers.
        grammars: Tells whether its workers can be given a grammar.
        keep_alive_seconds: What the last request that said so wants; see `GenerateRequest`.
        last_use: When the last request began or ended, by `time.monotonic`; at first, now.
        last_use_time: The same as a date; `None` before the first request has ended.
        memory_bytes: What its processes had when they were measured last; 0 before.
        ready_memory_bytes: The same when it became ready.

    Args:
        folder: What is on disk.
        config: The service's configuration.
        on_change: Called after each change of the workers' state.
        on_used: Called when a request has ended.
        draft: The folder of the model that guesses ahead, if the settings name one.

    Raises:
        InvalidModel: Its chat template is none, or its workers can't be placed as it says.

    """

    def __init__(
        self,
        folder: ModelFolder,
        config: ServiceConfig,
        on_change: Callable[[], None],
        on_used: Callable[[], None],
        draft: Path | None = None,
    ) -> None:
        self.folder = folder
        self._on_used = on_used
        settings = folder.settings
        self._max_outstanding = (
            settings.max_num_seqs * settings.replicas + config.max_waiting_requests
        )
        self._entering = 0
        self._left = asyncio.Event()
        self._chat = _chat_format(folder)
        loads = [
            Load(
                str(folder.path),
                settings,
                folder.context_length,
                folder.kind.value,
                str(draft) if draft else None,
                placement,
            )
            for placement in placements(settings)
        ]
        self.grammars = GrammarChecker(folder.name, loads[0])
        self.replicas = Replicas(
            folder.name,
            loads,
            start_timeout_seconds=config.worker_start_timeout_seconds,
            step_timeout_seconds=config.worker_step_timeout_seconds,
            on_change=on_change,
        )
        self.keep_alive_seconds: float | None = None
        self.last_use = time.monotonic()
        self.last_use_time: datetime | None = None
        self.memory_bytes = 0
        self.ready_memory_bytes = 0

    @property
    def chat(self) -> ChatFormat:
        """How the model is talked to.

        Raises:
            ChatTemplateError: It has no chat template.

        """
        if self._chat is None:
            raise ChatTemplateError(
                f"model {self.folder.name!r} has no chat template; send a prompt instead",
                model=self.folder.name,
            )
        return self._chat

    @contextmanager
    def used(self, keep_alive_seconds: float | None = None) -> Iterator[None]:
        """Note that a request uses the model, and what it wants of the time after it."""
        self.last_use = time.monotonic()
        try:
            yield
        finally:
            self.keep_alive_seconds = keep_alive_seconds
            self.last_use = time.monotonic()
            self.last_use_time = datetime.now(UTC)
            self._on_used()

    @contextmanager
    def admitted(self, completions: int = 1) -> Iterator[Worker]:
        """Hold a request's places until a worker counts them, and yield a worker that is ready.

        This comes before any work for the request, so that a refusal costs nothing. It is left
        when the request is with a worker, so that a slow reader keeps no place.

        Args:
            completions: How many the request asks for, each a sequence in the batch or waiting to
                be. What makes none takes one place.

        Raises:
            InvalidArgument: There are never so many places.
            ModelNotReady: No worker takes requests now.
            QueueFull: Too few places are free.

        """
        limit = self._max_outstanding
        if completions > limit:
            problem = (
                f"is more than the {limit} completions that run and wait for the model at most"
            )
            raise InvalidArgument("sampling.n", problem)
        worker = self.replicas.worker()
        if self._entering + self.replicas.outstanding_completions + completions > limit:
            raise QueueFull(self.folder.name, limit)
        self._entering += completions
        try:
            yield worker
        finally:
            self._entering -= completions
            if not self._entering:
                self._left.set()

    def route(self, prompt: str | tuple[int, ...], adapter: str | None) -> Worker:
        """Return the worker that is to take a prompt; see `Replicas.route`."""
        return self.replicas.route(prompt, adapter)

    @property
    def busy(self) -> bool:
        """Whether a request is on its way to a worker, or with one."""
        return self._entering > 0 or self.replicas.outstanding > 0

    async def idle(self) -> None:
        """Wait until no request is on its way to a worker, or with one."""
        while self.busy:
            self._left.clear()
            if self._entering:
                await self._left.wait()
            await self.replicas.idle()

    async def measure_memory(self) -> None:
        """Measure the memory of all its processes."""
        workers = await self.replicas.measure_memory()
        grammar = self.grammars.pid
        others = await asyncio.to_thread(process_memory, grammar) if grammar else None
        self.memory_bytes = workers + (others or 0)

    async def stop(self) -> None:
        """End the model's processes."""
        try:
            await self.replicas.stop()
        finally:
            await self.grammars.stop()


def _chat_format(folder: ModelFolder) -> ChatFormat | None:
    if not folder.chat_template:
        return None
    chat = ChatFormat(
        folder.chat_template,
        folder.special_tokens,
        folder.name,
        folder.settings.tool_parser,
        folder.settings.reasoning_parser,
    )
    try:
        chat.check()
    except jinja2.TemplateSyntaxError as error:
        raise InvalidModel(
            f"the chat template is no Jinja: {error}", LoadFailureCause.INVALID_FILES
        ) from error
    return chat
