"""Requests of several adapters: the fake engine fails when it is to change one while it works."""

from __future__ import annotations

import random

import msgspec
import pytest

from inference_service.engine import frames
from inference_service.engine.settings import Adapter, ModelSettings
from inference_service.worker.batch import Batch
from inference_service.worker.fake import FakePipeline

ADAPTERS = {name: Adapter(file=f"{name}.safetensors") for name in ("x", "y", "z")}
COMPILED = frames.Grammar("regex", "a")


class Turns:
    """A batch, what it says of each request, and the adapters that the engine was given."""

    def __init__(self, sampling: frames.Sampling) -> None:
        self.used: list[str | None] = []
        self.pipeline = FakePipeline(ModelSettings(engine="fake", adapters=ADAPTERS))
        use = self.pipeline.use_adapter
        self.pipeline.use_adapter = lambda name: (self.used.append(name), use(name))[1]
        self.batch = Batch(self.pipeline, 1000)
        self.texts: dict[int, str] = {}
        self.ended: list[int] = []
        self._sampling = sampling

    def submit(
        self, request_id: int, adapter: str | None, length: int = 3, n: int = 1, **more: object
    ) -> None:
        sampling = msgspec.structs.replace(self._sampling, n=n)
        request = frames.Submit(request_id, "t" * length, sampling, adapter=adapter, **more)
        self._note(self.batch.submit(request))

    def step(self) -> None:
        self._note(self.batch.step())

    def run(self) -> None:
        while self.batch.busy:
            self.step()

    def _note(self, messages: list[frames.FromWorker]) -> None:
        for message in messages:
            match message:
                case frames.Delta(request_id, _, text):
                    self.texts[request_id] = self.texts.get(request_id, "") + text
                case frames.Finished(request_id):
                    self.ended.append(request_id)


@pytest.fixture
def turns(sampling: frames.Sampling) -> Turns:
    return Turns(sampling)


def test_those_that_wait_share_a_turn_whatever_came_between(turns: Turns) -> None:
    turns.submit(1, None)
    for number, adapter in enumerate(("x", "y", "x", None, "y", "x"), 2):
        turns.submit(number, adapter)
    turns.run()
    assert turns.used == ["x", "y", None]
    assert turns.texts[1] == turns.texts[5] == "ttt"
    assert all(turns.texts[number] == "x: ttt" for number in (2, 4, 7))
    assert all(turns.texts[number] == "y: ttt" for number in (3, 6))


def test_same_adapter_joins_while_nobody_waits_for_another(turns: Turns) -> None:
    turns.submit(1, "x", 20)
    turns.step()
    turns.submit(2, "x", 2)
    turns.run()
    assert turns.used == ["x"]
    assert turns.ended == [2, 1]


def test_same_adapter_waits_once_somebody_waits_for_another(turns: Turns) -> None:
    turns.submit(1, "x", 20)
    turns.step()
    turns.submit(2, "y", 2)
    turns.submit(3, "x", 2)
    turns.run()
    assert turns.used == ["x", "y", "x"]
    assert turns.ended == [1, 2, 3]


def test_steady_stream_for_one_adapter_starves_no_other(turns: Turns) -> None:
    turns.submit(1, "x")
    turns.submit(2, "y")
    number = 3
    while 2 not in turns.ended:
        turns.step()
        turns.submit(number, "x")
        number += 1
        assert number < 20
    turns.run()
    assert sorted(turns.ended) == list(range(1, number))


def test_turn_of_a_request_that_is_cancelled_passes(turns: Turns) -> None:
    turns.submit(1, "x", 50)
    turns.submit(2, "y")
    turns.submit(3, "z")
    turns.step()
    turns.batch.cancel(1)
    turns.batch.cancel(2)
    turns.run()
    assert turns.ended == [3]
    assert turns.texts[3] == "z: ttt"


def test_all_completions_of_a_request_are_of_its_turn(turns: Turns) -> None:
    turns.submit(1, "x", 3, n=3)
    turns.submit(2, None)
    turns.submit(3, "y", 3, n=2, grammar=COMPILED)
    turns.run()
    assert turns.used == ["x", None, "y"]
    assert turns.texts[1] == "x: ttt" * 3 or len(turns.texts[1]) == 3 * len("x: ttt")
    assert sorted(turns.ended) == [1, 1, 1, 2, 3, 3]


def test_requests_at_random_all_end_with_their_own_adapter(turns: Turns) -> None:
    at_random = random.Random(1)
    wanted: dict[int, str] = {}
    for number in range(1, 200):
        adapter = at_random.choice([None, *ADAPTERS])
        length = at_random.randrange(1, 30)
        turns.submit(number, adapter, length, grammar=at_random.choice([None, COMPILED]))
        wanted[number] = (f"{adapter}: " if adapter else "") + "t" * length
        if at_random.random() < 0.2:
            turns.batch.cancel(number)
            del wanted[number]
        for _ in range(at_random.randrange(4)):
            if turns.batch.busy:
                turns.step()
    turns.run()
    assert turns.texts == wanted
