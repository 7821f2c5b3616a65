from typing import Any

import pytest
from openvino_server.v1 import inference_pb2

from rest_gateway.openai.sampling import SamplingFields, sampling_to_proto


def sampled(**fields: Any) -> inference_pb2.SamplingParams:
    return sampling_to_proto(SamplingFields.model_validate(fields), None, logprobs=False)


def test_what_is_not_given_stays_unset() -> None:
    assert sampled() == inference_pb2.SamplingParams()


def test_zero_is_a_value() -> None:
    sampling = sampled(temperature=0, seed=0, presence_penalty=0, frequency_penalty=0)
    names = {"temperature", "seed", "presence_penalty", "frequency_penalty"}
    assert {field.name for field, _ in sampling.ListFields()} == names


def test_sampling() -> None:
    given: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.25,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "stop": ["a", "b"],
        "seed": 7,
        "top_k": 40,
        "min_p": 0.125,
        "repetition_penalty": 1.5,
        "min_tokens": 2,
        "ignore_eos": True,
        "n": 3,
    }
    assert sampled(**given) == inference_pb2.SamplingParams(**given)


@pytest.mark.parametrize("every", [0, -1, None])
def test_all_tokens_is_the_default(every: int | None) -> None:
    assert not sampled(top_k=every).HasField("top_k")


@pytest.mark.parametrize(
    ("seed", "kept"), [(-1, 2**32 - 1), (2**32, 0), (-(2**63), 0), (2**63 - 1, 2**32 - 1)]
)
def test_seed_keeps_its_low_bits(seed: int, kept: int) -> None:
    assert sampled(seed=seed).seed == kept


def test_what_each_api_has_its_own_way_of() -> None:
    given = sampling_to_proto(SamplingFields(), 5, logprobs=True)
    assert given == inference_pb2.SamplingParams(max_tokens=5, logprobs=True)
