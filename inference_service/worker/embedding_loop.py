"""The loop of a worker for embedding and reranking: as that of generation, over another batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from inference_service.engine import frames
from inference_service.worker.embedding import EmbeddingModel, longest_token_bytes
from inference_service.worker.embedding_batch import EmbeddingBatch, foreign_token
from inference_service.worker.interface import RequestRefused
from inference_service.worker.loop import Connection


def loaded(load: frames.Load) -> tuple[int, int | None, Callable[[Connection], None]]:
    """Load the model.

    Returns:
        The most bytes of a token, the components of a vector if it makes some, and what serves.

    Raises:
        Exception: The model can't be loaded; see `load_failed`.

    """
    model = _model(load)
    longest = longest_token_bytes(load.context_length)

    def run(connection: Connection) -> None:
        serve(connection, model, EmbeddingBatch(model, load.settings, load.context_length))

    return longest, model.dimensions, run


def _model(load: frames.Load) -> EmbeddingModel:
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
