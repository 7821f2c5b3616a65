"""The worker process: `python -m inference_service.worker FD`, started by the service alone."""

from __future__ import annotations

import sys
import time

from inference_service.engine import frames
from inference_service.worker import process
from inference_service.worker.failures import load_failed
from inference_service.worker.interface import Pipeline
from inference_service.worker.loop import Connection, serve


def _load(load: frames.Load) -> Pipeline:
    if load.settings.engine == "fake":
        from inference_service.worker.fake import FakePipeline

        return FakePipeline(load.settings)
    from inference_service.worker.pipeline import OpenVinoPipeline

    return OpenVinoPipeline(load.model_dir, load.settings, load.context_length)


def _serve(connection: Connection, load: frames.Load) -> int:
    """Load the model, then serve until the service hangs up."""
    if load.kind != "generation":
        from inference_service.worker import embedding_loop

        return embedding_loop.run(connection, load)
    started = time.monotonic()
    try:
        pipeline = _load(load)
    except Exception as error:  # noqa: BLE001  whatever it is, the service is told
        connection.send([load_failed(error)])
        return 1
    connection.send([frames.Ready(time.monotonic() - started, pipeline.longest_token_bytes)])
    serve(connection, pipeline, load.context_length)
    return 0


if __name__ == "__main__":
    sys.exit(process.run(_serve))
