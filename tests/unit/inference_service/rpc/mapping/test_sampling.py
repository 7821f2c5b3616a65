from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.rpc import mapping

AnyCall = Callable[..., Any]
NAN, INFINITY = math.nan, math.inf


def test_what_is_unset_is_none(request_of: AnyCall) -> None:
    wanted = mapping.generate_request_from_proto(request_of())
    assert wanted.sampling == domain.SamplingParams()


# The ends of each range are allowed, 0 among them, and 0 is not unset.
ENDS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.5, 1.0),
    "top_k": (1, 2**32 - 1),
    "min_p": (0.0, 0.5),
    "seed": (0, 2**32 - 1),
    "presence_penalty": (-2.0, 0.0, 2.0),
    "frequency_penalty": (-2.0, 0.0, 2.0),
    "repetition_penalty": (0.5, 2.0),
    "max_tokens": (1, 2**32 - 1),
    "min_tokens": (0, 2**32 - 1),
    "ignore_eos": (True, False),
    "stop": (("a",) * 16, (" ", "\0", "é"), ("é" * 1024,)),
    "n": (1, 128),
    "logprobs": (True, False),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in ENDS.items() for value in values]
)
def test_ends_of_ranges_are_kept(request_of: AnyCall, name: str, value: object) -> None:
    wanted = mapping.generate_request_from_proto(request_of(sampling={name: value}))
    assert getattr(wanted.sampling, name) == value


def test_every_sampling_field_is_tested() -> None:
    assert set(ENDS) == set(inference_pb2.SamplingParams.DESCRIPTOR.fields_by_name)


FAULTS: list[tuple[str, Any]] = [
    *(("temperature", value) for value in (-0.1, 2.1, NAN, INFINITY, -INFINITY)),
    *(("top_p", value) for value in (0.0, -0.1, 1.1, NAN)),
    ("top_k", 0),
    *(("min_p", value) for value in (-0.1, 1.0, NAN)),
    *(("presence_penalty", value) for value in (-2.1, 2.1, NAN)),
    *(("frequency_penalty", value) for value in (-2.1, 2.1, NAN)),
    *(("repetition_penalty", value) for value in (0.0, -1.0, 2.1, NAN, INFINITY)),
    ("max_tokens", 0),
    ("stop", ["a"] * 17),
    ("stop", ["a", ""]),
    ("stop", ["a", "x" * 1025]),
    *(("n", value) for value in (0, 129, 2**32 - 1)),
]


@pytest.mark.parametrize(("name", "value"), FAULTS)
def test_invalid_value_is_named(
    request_of: AnyCall, refused_field: AnyCall, name: str, value: object
) -> None:
    assert refused_field(request_of(sampling={name: value})) == f"sampling.{name}"


def test_fewest_tokens_are_not_more_than_the_most(
    request_of: AnyCall, refused_field: AnyCall
) -> None:
    proto = request_of(sampling={"max_tokens": 2, "min_tokens": 3})
    assert refused_field(proto) == "sampling.min_tokens"
    mapping.generate_request_from_proto(request_of(sampling={"max_tokens": 3, "min_tokens": 3}))
