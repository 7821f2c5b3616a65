"""The loop of a worker for embedding and reranking: as that of generation, over another batch."""

from __future__ import annotations

import contextlib
import time

from inference_service.engine import frames
from inference_service.worker.embedding import EmbeddingModel, longest_token_bytes
from inference_service.worker.embedding_batch import EmbeddingBatch, foreign_token
from inference_service.worker.failures import load_failed
from inference_service.worker.interface import RequestRefused
from inference_service.worker.loop import Connection


def run(connection: Connection, load: frames.Load) -> int:
    """Load the model, then serve until the service hangs up.

    Returns:
        The process's exit status.

    """
    started = time.monotonic()
    try:
        model = _load(load)
    except Exception as error:  # noqa: BLE001  whatever it is, the service is told
        connection.send([load_failed(error)])
        return 1
    seconds = time.monotonic() - started
    longest = longest_token_bytes(load.context_length)
    connection.send([frames.Ready(seconds, longest, model.dimensions)])
    serve(connection, model, EmbeddingBatch(model, load.settings, load.context_length))
    return 0


def _load(load: frames.Load) -> EmbeddingModel:
    if load.kind == "generation":
        raise ValueError("this is the worker of embedding and rerank models")
    if load.settings.engine == "fake":
        from inference_service.worker.embedding_fake import FakeEmbeddingModel

        return FakeEmbeddingModel(load.kind, load.settings)
    from inference_service.worker.embedding_openvino import OpenVinoEmbeddingModel

    return OpenVinoEmbeddingModel(load.model_dir, load.kind, load.settings)


def serve(connection: Connection, model: EmbeddingModel, batch: EmbeddingBatch) -> None:
    """Run requests until the service closes the socket.

    Raises:
        Exception: A step raised; the process has to end.

    """
    with contextlib.suppress(ConnectionError):  # closed with frames unread: a hang-up like any
        while (inbox := connection.receive(block=not batch.busy)) is not None:
            outbox = [answer for message in inbox for answer in _take(batch, model, message)]
            if batch.busy:
                outbox += batch.step()
            if outbox:
                connection.send(outbox)


def _take(
    batch: EmbeddingBatch, model: EmbeddingModel, message: frames.ToWorker
) -> list[frames.FromWorker]:
    match message:
        case frames.Embed() | frames.Rerank():
            batch.submit(message)
            return []
        case frames.Cancel(request_id):
            batch.cancel(request_id)
            return []
        case frames.Encode(request_id, text, add_special_tokens):
            try:
                (ids,) = model.encode([text], add_special_tokens=add_special_tokens)
            except RequestRefused as error:
                return [_invalid(request_id, "text", str(error))]
            return [frames.Encoded(request_id, tuple(ids))]
        case frames.Decode(request_id, token_ids, skip_special_tokens):
            if problem := foreign_token(token_ids, model.vocabulary_size):
                return [_invalid(request_id, "token_ids", problem)]
            text = model.decode(token_ids, skip_special_tokens=skip_special_tokens)
            return [frames.Decoded(request_id, text)]
        case frames.Load() | frames.Submit() | frames.CheckGrammar():
            raise ValueError(f"a worker of this kind has no answer to {type(message).__name__}")


def _invalid(request_id: int, field: str, problem: str) -> frames.Rejected:
    return frames.Rejected(request_id, "INVALID_ARGUMENT", f"{field}: {problem}", {"field": field})
