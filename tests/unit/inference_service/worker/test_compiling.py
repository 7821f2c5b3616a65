from __future__ import annotations

from concurrent.futures import Future

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.compiling import Compiled, GrammarQueue
from inference_service.worker.fake import FakePipeline
from inference_service.worker.interface import RequestRefused

A, B = (frames.Grammar("regex", source) for source in "ab")


class CompilingPipeline(FakePipeline):
    """A fake pipeline whose grammars are compiled when the test says so."""

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.compiled: set[str] = set()
        self.compilations: list[tuple[str, Future[None]]] = []

    def needs_compiling(self, grammar: frames.Grammar) -> bool:
        return grammar.source not in self.compiled

    def compile(self, grammar: frames.Grammar) -> Future[None]:
        future: Future[None] = Future()
        self.compilations.append((grammar.source, future))
        return future

    def finish(self, error: Exception | None = None) -> None:
        source, future = self.compilations[-1]
        if error:
            future.set_exception(error)
        else:
            self.compiled.add(source)
            future.set_result(None)


@pytest.fixture
def pipeline() -> CompilingPipeline:
    return CompilingPipeline()


def test_request_waits_for_its_grammar_and_its_end_wakes(pipeline: CompilingPipeline) -> None:
    wakes: list[bool] = []
    queue = GrammarQueue(pipeline, lambda: wakes.append(True))
    queue.push(1, A)
    assert queue.take() == []
    assert queue.compiling
    assert queue.take() == []
    pipeline.finish()
    assert wakes == [True]
    assert queue.take() == [Compiled(1, None)]
    assert not queue.compiling


def test_one_that_was_compiled_does_not_wait(pipeline: CompilingPipeline) -> None:
    pipeline.compiled.add("a")
    queue = GrammarQueue(pipeline, lambda: None)
    queue.push(1, A)
    queue.push(2, A)
    assert queue.take() == [Compiled(1, None), Compiled(2, None)]
    assert pipeline.compilations == []


def test_nothing_is_compiled_while_a_sequence_with_a_grammar_begins(
    pipeline: CompilingPipeline,
) -> None:
    pipeline.compiled.add("a")
    queue = GrammarQueue(pipeline, lambda: None)
    queue.push(1, A)
    queue.push(2, B)
    assert queue.take() == [Compiled(1, None)]
    assert pipeline.compilations == []  # as the first is to be added now
    queue.added(7)
    queue.take()
    assert pipeline.compilations == []
    queue.ended(7)
    queue.take()
    assert [source for source, _ in pipeline.compilations] == ["b"]


def test_cancelled_sequence_begins_even_so_in_the_next_step(pipeline: CompilingPipeline) -> None:
    queue = GrammarQueue(pipeline, lambda: None)
    queue.added(7)
    queue.ended(7, cancelled=True)
    queue.push(1, A)
    queue.take()
    assert pipeline.compilations == []
    queue.stepped()
    queue.take()
    assert len(pipeline.compilations) == 1


def test_cancelled_request_is_forgotten_wherever_it_waits(pipeline: CompilingPipeline) -> None:
    queue = GrammarQueue(pipeline, lambda: None)
    for request_id, grammar in ((1, A), (2, B), (3, A)):
        queue.push(request_id, grammar)
    queue.take()
    queue.cancel(1)
    queue.cancel(2)
    queue.cancel(99)
    pipeline.finish()
    assert queue.take() == [Compiled(3, None)]
    assert len(pipeline.compilations) == 1


def test_failure_of_the_compiler_that_is_no_refusal_is_raised(pipeline: CompilingPipeline) -> None:
    queue = GrammarQueue(pipeline, lambda: None)
    queue.push(1, A)
    queue.take()
    pipeline.finish(MemoryError())
    with pytest.raises(MemoryError):
        queue.take()


def test_refused_grammar_is_rejected_alone(
    pipeline: CompilingPipeline, sampling: frames.Sampling
) -> None:
    batch = Batch(pipeline, 100)
    assert batch.submit(frames.Submit(1, "one", sampling, A)) == []
    batch.submit(frames.Submit(2, "two", sampling))
    batch.advance()
    pipeline.finish(RequestRefused("no such rule"))
    messages = batch.step()
    (rejected,) = [m for m in messages if isinstance(m, frames.Rejected)]
    assert (rejected.request_id, rejected.metadata) == (1, {"field": "constraint"})
    assert rejected.message == "constraint: no such rule"
    assert frames.Delta(2, 0, "t", 1) in messages


def test_completions_of_a_request_wait_while_another_grammar_is_compiled(
    pipeline: CompilingPipeline, sampling: frames.Sampling
) -> None:
    pipeline.prefix_caching = True
    pipeline.compiled.add("a")
    batch = Batch(pipeline, 100)
    batch.submit(frames.Submit(1, "hi", msgspec.structs.replace(sampling, n=2), A))
    batch.submit(frames.Submit(2, "yo", sampling, B))
    assert batch.advance() == [frames.Started(1, 2, 0)]
    first = batch.step()  # the second completion is added, so the other grammar waits
    assert frames.Delta(1, 0, "h", 1) in first
    assert pipeline.compilations == []
    assert frames.Delta(1, 1, "h", 1) in batch.step()
    assert [source for source, _ in pipeline.compilations] == ["b"]
    pipeline.finish()
    messages = [message for _ in range(5) for message in batch.step()]
    assert frames.Started(2, 2, 0) in messages
    assert not batch.busy
