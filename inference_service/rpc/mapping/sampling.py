"""How tokens are chosen and when generation stops."""

from __future__ import annotations

import math

from openvino_server.v1 import inference_pb2

from inference_service import domain
from inference_service.errors import InvalidArgument

MAX_STOPS = 16
MAX_STOP_CHARACTERS = 1_024  # a stream holds back as much where a stop text may have begun
MAX_COMPLETIONS = 128


def sampling_from_proto(sampling: inference_pb2.SamplingParams) -> domain.SamplingParams:
    """Check and convert sampling parameters.

    Raises:
        InvalidArgument: A value is out of its range.

    """

    def number(
        name: str, low: float, high: float, *, above_low: bool = False, below_high: bool = False
    ) -> float | None:
        if not sampling.HasField(name):  # type: ignore[arg-type]
            return None
        value = float(getattr(sampling, name))
        inside = (low < value if above_low else low <= value) and (
            value < high if below_high else value <= high
        )
        if math.isnan(value) or not inside:
            lowest = f"over {low:g}" if above_low else f"{low:g}"
            highest = f"below {high:g}" if below_high else f"{high:g}"
            raise InvalidArgument(f"sampling.{name}", f"must be {lowest} to {highest}")
        return value

    def count(name: str, least: int) -> int | None:
        if not sampling.HasField(name):  # type: ignore[arg-type]
            return None
        value = int(getattr(sampling, name))
        if value < least:
            raise InvalidArgument(f"sampling.{name}", f"must be at least {least}")
        return value

    max_tokens, min_tokens = count("max_tokens", 1), count("min_tokens", 0)
    if min_tokens is not None and max_tokens is not None and min_tokens > max_tokens:
        raise InvalidArgument("sampling.min_tokens", "is more than max_tokens")
    n = number("n", 1, MAX_COMPLETIONS)
    return domain.SamplingParams(
        temperature=number("temperature", 0, 2),
        top_p=number("top_p", 0, 1, above_low=True),
        top_k=count("top_k", 1),
        min_p=number("min_p", 0, 1, below_high=True),
        seed=count("seed", 0),
        presence_penalty=number("presence_penalty", -2, 2),
        frequency_penalty=number("frequency_penalty", -2, 2),
        repetition_penalty=number("repetition_penalty", 0, 2, above_low=True),
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        stop=_stops(sampling),
        ignore_eos=sampling.ignore_eos,
        n=1 if n is None else int(n),
        logprobs=sampling.logprobs,
    )


def _stops(sampling: inference_pb2.SamplingParams) -> tuple[str, ...]:
    stops = tuple(sampling.stop)
    if len(stops) > MAX_STOPS:
        raise InvalidArgument("sampling.stop", f"at most {MAX_STOPS} stop strings are allowed")
    if "" in stops:
        raise InvalidArgument("sampling.stop", "a stop string is empty")
    if any(len(stop) > MAX_STOP_CHARACTERS for stop in stops):
        raise InvalidArgument(
            "sampling.stop", f"a stop string is longer than {MAX_STOP_CHARACTERS} characters"
        )
    return stops
