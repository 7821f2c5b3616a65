"""Responses that run while no client waits for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from rest_gateway.openai.errors import ApiError, retry_after
from rest_gateway.openai.failures import to_api_error
from rest_gateway.openai.responses.lifecycle import Lifecycle
from rest_gateway.openai.responses.store import Turn
from rest_gateway.openai.responses.translate import NAMES
from rest_gateway.upstream import Generation

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class BackgroundRun:
    """A response that runs.

    Attributes:
        id: The response's id.
        turn: What its request said.
        lifecycle: The response as it is now.

    """

    id: str
    turn: Turn
    lifecycle: Lifecycle
    _call: Generation
    _task: asyncio.Task[None] | None = None
    _cancelled: bool = False

    def start(self) -> asyncio.Task[None]:
        """Begin to run."""
        self._task = asyncio.create_task(self._run())
        return self._task

    async def cancel(self) -> None:
        """End the generation, and wait until it has ended: as cancelled, if it was not faster."""
        self._cancelled = True
        self._call.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        lifecycle = self.lifecycle
        try:
            async for message in self._call:
                lifecycle.take(message)
            lifecycle.end()
        except Exception as error:  # noqa: BLE001 - the response tells it
            if self._cancelled:
                lifecycle.cancel()
            else:
                lifecycle.fail(to_api_error(error, NAMES))
        finally:
            self._call.cancel()
            log.info(
                "background_response",
                response_id=self.id,
                status=lifecycle.status,
                prompt_tokens=lifecycle.outcome.prompt_tokens,
                completion_tokens=lifecycle.outcome.completion_tokens,
            )


class BackgroundResponses:
    """All that run now.

    Args:
        max_running: How many may.

    """

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._runs: dict[str, BackgroundRun] = {}

    def check_room(self) -> None:
        """Tell whether one more may run.

        Raises:
            ApiError: As many run as may.

        """
        if len(self._runs) >= self._max_running:
            raise ApiError(
                429,
                f"{self._max_running} background responses are running, and no more may; try "
                "again later.",
                "rate_limit_error",
                "background_full",
                param="background",
                headers=retry_after(1),
                reason="background_full",
            )

    def start(self, run: BackgroundRun) -> None:
        """Run a response. It is found by `get` until it ends; then it is where it keeps itself."""
        self._runs[run.id] = run
        # Not later than its end: what asks next finds it here or in the store.
        run.start().add_done_callback(lambda _task: self._runs.pop(run.id))

    def get(self, response_id: str, owner: str) -> BackgroundRun | None:
        """Find a response that runs; None if the key has no such."""
        run = self._runs.get(response_id)
        return run if run and run.turn.owner == owner else None

    async def close(self) -> None:
        """Cancel all that run, and wait for their ends: no one can ask for them any more."""
        async with asyncio.TaskGroup() as group:
            for run in list(self._runs.values()):
                group.create_task(run.cancel())
