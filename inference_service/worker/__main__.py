"""The worker process: `python -m inference_service.worker FD`, started by the service alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from inference_service.engine import frames
from inference_service.worker import loop, process
from inference_service.worker.failures import load_failed
from inference_service.worker.interface import Pipeline
from inference_service.worker.loop import Connection
from inference_service.worker.placement import limit_memory, place


def _serve(connection: Connection, load: frames.Load) -> int:
    """Load the model, then serve until the service hangs up."""
    started = time.monotonic()
    try:
        place(load.placement)
        limit_memory(load.settings.memory_limit_bytes)
        longest_token_bytes, dimensions, serve = _loaded(load)
    except Exception as error:  # noqa: BLE001  whatever it is, the service is told
        limit_memory(None)  # to tell it takes some
        connection.send([load_failed(error)])
        return 1
    connection.send([frames.Ready(time.monotonic() - started, longest_token_bytes, dimensions)])
    serve(connection)
    return 0


def _loaded(load: frames.Load) -> tuple[int, int | None, Callable[[Connection], None]]:
    """Load the model, and return what is told of it and what serves it."""
    if load.kind != "generation":
        from inference_service.worker import embedding_loop

        return embedding_loop.loaded(load)
    pipeline = _pipeline(load)
    return (
        pipeline.longest_token_bytes,
        None,
        lambda connection: loop.serve(connection, pipeline, load.context_length),
    )


def _pipeline(load: frames.Load) -> Pipeline:
    if load.settings.engine == "fake":
        from inference_service.worker.fake import FakePipeline

        return FakePipeline(load.settings)
    from inference_service.worker.pipeline import OpenVinoPipeline

    return OpenVinoPipeline(
        load.model_dir, load.settings, load.context_length, load.draft_model_dir
    )


if __name__ == "__main__":
    sys.exit(process.run(_serve))
