from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import ModelSettings
from inference_service.worker.fake import FakePipeline

RunLoop = Callable[..., Any]


class CountingPipeline(FakePipeline):
    """A fake pipeline that counts its steps, and waits before each for the test's leave."""

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.steps = 0
        self.may_step = threading.Semaphore(0)

    def step(self) -> None:
        assert self.may_step.acquire(timeout=10)
        self.steps += 1
        super().step()


def test_each_step_is_one_frame(run_loop: RunLoop, sampling: frames.Sampling) -> None:
    loop = run_loop()
    loop.send(frames.Submit(1, "ab", sampling))
    assert [loop.frame() for _ in range(3)] == [
        [frames.Started(1, 2, 0), frames.Delta(1, 0, "a", 1), frames.Progress(1, 1, 1 / 256)],
        [frames.Delta(1, 0, "b", 1), frames.Progress(2, 2, 1 / 256)],
        [frames.Finished(1, 0, "stop", 2, 3, None, 0), frames.Progress(3, 3, 0.0)],
    ]


def test_requests_share_steps(run_loop: RunLoop, sampling: frames.Sampling) -> None:
    loop = run_loop()
    loop.send(*(frames.Submit(number, f"{number}!", sampling) for number in range(5)))
    first, second, third = (loop.frame() for _ in range(3))
    assert first[5:-1] == [frames.Delta(number, 0, f"{number}", 1) for number in range(5)]
    assert second[:-1] == [frames.Delta(number, 0, "!", 1) for number in range(5)]
    assert third[:-1] == [frames.Finished(number, 0, "stop", 2, 3, None, 0) for number in range(5)]


def test_cancel_takes_effect_within_a_step(run_loop: RunLoop, sampling: frames.Sampling) -> None:
    pipeline = CountingPipeline()
    loop = run_loop(pipeline)
    loop.send(frames.Submit(1, "endless", msgspec.structs.replace(sampling, ignore_eos=True)))
    pipeline.may_step.release()
    assert loop.frame()[1] == frames.Delta(1, 0, "e", 1)
    # The loop waits inside its next step, or is about to: the cancel comes after at most that one.
    loop.send(frames.Cancel(1))
    pipeline.may_step.release(5)
    loop.send(frames.Encode(2, "x", False))
    seen = loop.frames_until(frames.Encoded)
    assert pipeline.steps <= 3
    deltas = [m for frame in seen for m in frame if isinstance(m, frames.Delta)]
    assert len(deltas) <= 1
    assert not pipeline.pending
    # Nothing is said of the request any more, and the loop serves on.
    assert not [m for frame in seen for m in frame if isinstance(m, frames.Finished)]


def test_cancel_of_an_unknown_request_is_harmless(
    run_loop: RunLoop, sampling: frames.Sampling
) -> None:
    loop = run_loop()
    loop.send(frames.Cancel(7), frames.Submit(1, "a", sampling))
    assert loop.frames_until(frames.Finished)
    loop.send(frames.Cancel(1))
    loop.send(frames.Submit(2, "b", sampling))
    assert loop.frames_until(frames.Finished)[-1][0] == frames.Finished(2, 0, "stop", 1, 2, None, 0)


def test_idle_loop_takes_no_steps(run_loop: RunLoop, sampling: frames.Sampling) -> None:
    pipeline = CountingPipeline()
    pipeline.may_step.release(1000)
    loop = run_loop(pipeline)
    loop.send(frames.Submit(1, "abc", sampling))
    loop.frames_until(frames.Finished)
    assert pipeline.steps == 4
    for number in range(5):  # each answer is a turn of the loop
        loop.send(frames.Encode(number, "x", False))
        assert loop.frame() == [frames.Encoded(number, (ord("x"),))]
    assert pipeline.steps == 4


def test_requests_are_taken_between_steps(run_loop: RunLoop, sampling: frames.Sampling) -> None:
    loop = run_loop(fake_step_seconds=0.001)
    endless = msgspec.structs.replace(sampling, ignore_eos=True)
    loop.send(frames.Submit(1, "abc", endless))
    loop.frame()
    loop.send(frames.Submit(2, "xyz", sampling))
    seen = [m for frame in loop.frames_until(frames.Finished) for m in frame]
    assert "".join(m.text for m in seen if isinstance(m, frames.Delta) and m.request_id == 2) == (
        "xyz"
    )
    assert [m.request_id for m in seen if isinstance(m, frames.Finished)] == [2]


def test_frame_that_comes_in_pieces_is_put_together(
    run_loop: RunLoop, sampling: frames.Sampling
) -> None:
    loop = run_loop()
    for byte in frames.encode_frame([frames.Submit(1, "a", sampling)]):
        loop.send_bytes(bytes([byte]))
    assert loop.frames_until(frames.Finished)


def test_encode_and_decode(run_loop: RunLoop) -> None:
    loop = run_loop()
    loop.send(frames.Encode(1, "é", False), frames.Decode(2, (195, 169, 256), True))
    assert loop.frame() == [frames.Encoded(1, (195, 169)), frames.Decoded(2, "é")]
    loop.send(frames.Decode(3, (195, 169, 256), False))
    assert loop.frame() == [frames.Decoded(3, "é<end>")]


def test_decode_of_an_unknown_token_is_rejected(run_loop: RunLoop) -> None:
    loop = run_loop()
    loop.send(frames.Decode(1, (999,), False))
    ((rejected,),) = [loop.frame()]
    assert (rejected.reason, rejected.metadata) == ("INVALID_ARGUMENT", {"field": "token_ids"})


@pytest.mark.parametrize("busy", [False, True])
def test_loop_ends_when_the_service_hangs_up(
    run_loop: RunLoop, sampling: frames.Sampling, busy: bool
) -> None:
    loop = run_loop()
    if busy:
        loop.send(frames.Submit(1, "a", msgspec.structs.replace(sampling, ignore_eos=True)))
        loop.frame()
    loop.hang_up()
    assert loop.joined()
    assert loop.error is None


def test_loop_ends_quietly_when_its_words_are_not_read(
    run_loop: RunLoop, sampling: frames.Sampling
) -> None:
    """The service closes its end with frames unread, as it does after a drain timeout."""
    loop = run_loop()
    loop.send(frames.Submit(1, "a", msgspec.structs.replace(sampling, ignore_eos=True)))
    loop.frame()
    loop.close()
    assert loop.joined()
    assert loop.error is None


def test_step_that_raises_ends_the_loop(run_loop: RunLoop, sampling: frames.Sampling) -> None:
    loop = run_loop()
    loop.send(frames.Submit(1, "!fail", sampling))
    with pytest.raises(EOFError):
        loop.frames_until(frames.Finished)
    assert loop.joined()
    assert str(loop.error) == "the fake engine was asked to fail"


def test_second_load_ends_the_loop(run_loop: RunLoop) -> None:
    loop = run_loop()
    loop.send(frames.Load("x", ModelSettings(), 10))
    assert loop.joined()
    assert isinstance(loop.error, ValueError)


class SlowCompiler(FakePipeline):
    """A fake pipeline whose grammars are compiled in a thread, when the test gives leave."""

    def __init__(self) -> None:
        super().__init__(ModelSettings(engine="fake"))
        self.may_compile = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._compiled = False

    def needs_compiling(self, grammar: frames.Grammar) -> bool:
        return not self._compiled

    def compile(self, grammar: frames.Grammar) -> Future[None]:
        return self._thread.submit(self._compile)

    def _compile(self) -> None:
        assert self.may_compile.wait(10)
        self._compiled = True


def test_loop_answers_while_a_grammar_is_compiled_and_wakes_when_it_is(
    run_loop: RunLoop, sampling: frames.Sampling
) -> None:
    pipeline = SlowCompiler()
    loop = run_loop(pipeline)
    loop.send(frames.Submit(1, "a", sampling, frames.Grammar("regex", "a")))
    loop.send(frames.Submit(2, "b", sampling))
    seen = [m for frame in loop.frames_until(frames.Finished) for m in frame]
    assert {m.request_id for m in seen if not isinstance(m, frames.Progress)} == {2}
    loop.send(frames.Encode(3, "x", False))
    assert loop.frame() == [frames.Encoded(3, (ord("x"),))]
    pipeline.may_compile.set()  # nothing is sent to the loop, which waits for its service
    assert loop.frame()[0] == frames.Started(1, 1, 0)
    assert loop.frames_until(frames.Finished)


def test_loop_that_is_hung_up_on_does_not_wait_for_a_grammar(
    run_loop: RunLoop, sampling: frames.Sampling
) -> None:
    pipeline = SlowCompiler()
    loop = run_loop(pipeline)
    loop.send(frames.Submit(1, "a", sampling, frames.Grammar("regex", "a")))
    loop.send(frames.Encode(2, "x", False))
    loop.frame()
    loop.hang_up()
    assert loop.joined()
    assert loop.error is None
    pipeline.may_compile.set()
