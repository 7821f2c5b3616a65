from __future__ import annotations

import pytest

from inference_service.domain import SamplingParams
from inference_service.engine.frames import Sampling
from inference_service.generation import fill_sampling
from inference_service.models.repository import SamplingDefaults

MODEL = SamplingDefaults(temperature=0.6, top_p=0.9, top_k=40, min_p=0.1, repetition_penalty=1.1)


def test_what_nobody_states_is_openais_default() -> None:
    sampling = fill_sampling(SamplingParams(seed=7), SamplingDefaults())
    assert sampling == Sampling(
        temperature=1.0,
        top_p=1.0,
        top_k=None,
        min_p=0.0,
        seed=7,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        max_tokens=None,
        min_tokens=0,
        stop=(),
        ignore_eos=False,
    )


def test_models_defaults_come_before_openais() -> None:
    sampling = fill_sampling(SamplingParams(), MODEL)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.6, 0.9, 40)
    assert (sampling.min_p, sampling.repetition_penalty) == (0.1, 1.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", 0.0), ("top_p", 0.5), ("top_k", 1), ("min_p", 0.0), ("seed", 0)),
        *(("presence_penalty", -2.0), ("frequency_penalty", 0.5), ("repetition_penalty", 0.5)),
        *(("max_tokens", 1), ("min_tokens", 3), ("stop", ("a", "b")), ("ignore_eos", True)),
        *(("n", 3), ("logprobs", True)),
    ],
)
def test_request_comes_before_all(name: str, value: object) -> None:
    """0 is a value, not unset."""
    sampling = fill_sampling(SamplingParams(**{name: value}), MODEL)
    assert getattr(sampling, name) == value


def test_each_request_has_a_seed_of_its_own() -> None:
    seeds = {fill_sampling(SamplingParams(), MODEL).seed for _ in range(20)}
    assert len(seeds) > 15
    assert all(0 <= seed < 2**32 for seed in seeds)
