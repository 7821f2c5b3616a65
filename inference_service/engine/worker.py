"""One engine worker process: the requests it works on, and their events."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self, cast

from inference_service import domain
from inference_service.engine import frames
from inference_service.engine.process import EngineProcess
from inference_service.engine.rejections import error_of
from inference_service.engine.stream import EventStream, Parser
from inference_service.errors import WorkerLost

# Without the folder that the service runs in, where a file could pass for a package.
WORKER_COMMAND = (sys.executable, "-P", "-m", "inference_service.worker")


class Worker(EngineProcess):
    """A running worker: the process, the socket to it, and the requests it works on.

    Attributes:
        progress: The worker's own counts as of its last step.
        last_step: `time.monotonic()` at the last step, or `None` before the first.

    """

    def __init__(self, model: str, process: asyncio.subprocess.Process) -> None:
        super().__init__(model, process)
        self._streams: dict[int, EventStream] = {}
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
    ) -> Self:
        """See `EngineProcess.start`."""
        return await super().start(model, load, timeout_seconds=timeout_seconds, command=command)

    @property
    def longest_token_bytes(self) -> int:
        """Bytes of UTF-8 that one token stands for at most."""
        return self._ready_message.longest_token_bytes

    @property
    def dimensions(self) -> int | None:
        """Components of an embedding vector; `None` for a model that makes none."""
        return self._ready_message.dimensions

    @property
    def outstanding(self) -> int:
        """Requests that the worker works on or holds back, running and waiting together."""
        return len(self._streams) + len(self._calls)

    @property
    def outstanding_completions(self) -> int:
        """Completions that those requests still wait for; any other answer counts as one."""
        return sum(stream.running for stream in self._streams.values()) + len(self._calls)

    def submit(
        self,
        prompt: str | tuple[int, ...],
        sampling: frames.Sampling,
        max_unread_bytes: int,
        *,
        grammar: domain.Grammar | None = None,
        markers: tuple[str, ...] = (),
        parser: Callable[[], Parser] | None = None,
        add_special_tokens: bool = False,
        adapter: str | None = None,
    ) -> EventStream:
        """Start a request and return its events.

        Args:
            prompt: Text, or token ids.
            sampling: How to choose tokens; its `n` is how many completions there are.
            max_unread_bytes: See `EventStream`.
            grammar: A form that each completion must have. It has been found to compile.
            markers: Special tokens whose text is part of the completion, for the parser.
            parser: See `EventStream`.
            add_special_tokens: Whether the tokenizer adds its special tokens to a text.
            adapter: One of the model's LoRA adapters, by its name in the settings.

        Raises:
            WorkerLost: The process is gone.

        """
        request_id = self._next_id()

        def closed(still_running: bool) -> None:
            self._streams.pop(request_id, None)
            self._released()
            if still_running and not self.lost.done():
                self._send(frames.Cancel(request_id))

        stream = EventStream(max_unread_bytes, closed, parser=parser, n=sampling.n)
        self._streams[request_id] = stream
        form = frames.Grammar(grammar.kind, grammar.source) if grammar else None
        self._send(
            frames.Submit(request_id, prompt, sampling, form, markers, add_special_tokens, adapter)
        )
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

    def embed(self, inputs: tuple[str | tuple[int, ...], ...]) -> Awaitable[frames.Embedded]:
        """Turn texts, or token ids, into vectors; they are with the worker when this returns.

        Raises:
            ContextLengthExceeded: An input has more tokens than the model takes.
            InvalidArgument: An input can't be used.
            WorkerLost: The process died before it answered.

        """
        call = self._call(lambda i: frames.Embed(i, inputs))
        return cast("Awaitable[frames.Embedded]", call)

    def rerank(self, query: str, documents: tuple[str, ...]) -> Awaitable[frames.Reranked]:
        """Score documents by how well they answer a query; otherwise as `embed`."""
        call = self._call(lambda i: frames.Rerank(i, query, documents))
        return cast("Awaitable[frames.Reranked]", call)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that the worker still owed."""
        super().connection_lost(exc)
        for stream in list(self._streams.values()):
            stream.fail(WorkerLost(self._model))

    def _receive(self, message: frames.FromWorker) -> None:
        match message:
            case frames.Progress():
                if message.steps > self.progress.steps:
                    self.last_step = time.monotonic()
                self.progress = message
            case (
                frames.Delta(request_id) | frames.Started(request_id) | frames.Finished(request_id)
            ):
                if stream := self._streams.get(request_id):
                    stream.push(_event(message))
            case frames.Rejected(request_id) if stream := self._streams.get(request_id):
                stream.fail(error_of(message, self._model))
            case _:
                super()._receive(message)


def _event(message: frames.Started | frames.Delta | frames.Finished) -> domain.Event:
    match message:
        case frames.Delta():
            return domain.TextDelta(
                message.index,
                message.text,
                message.tokens,
                tuple(
                    domain.TokenLogprob(entry.token_id, entry.token, entry.logprob)
                    for entry in message.logprobs
                ),
            )
        case frames.Started():
            return domain.Started(message.prompt_tokens, message.cached_tokens)
        case frames.Finished():
            return domain.Finished(
                message.index,
                domain.FinishReason(message.reason),
                message.prompt_tokens,
                message.completion_tokens,
                message.matched_stop,
                message.cached_tokens,
            )
