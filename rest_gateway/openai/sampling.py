"""How tokens are chosen and when generation stops: what chat and text completions have in common.

Source: https://platform.openai.com/docs/api-reference/chat/create, and what clients of vLLM and
llama.cpp send besides: `top_k`, `min_p`, `repetition_penalty`, `min_tokens` and `ignore_eos`.
"""

from __future__ import annotations

from typing import Annotated

from openvino_server.v1 import inference_pb2
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from rest_gateway.openai.strict import StrictModel

UINT32_MAX = 2**32 - 1
MAX_STOPS = 4  # OpenAI's
MAX_CHOICES = 128  # OpenAI's, and the service's


class SamplingFields(StrictModel):
    """The parameters that become `SamplingParams`; `top_k` of 0 and -1 means all tokens."""

    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    presence_penalty: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    stop: Annotated[list[str], Field(fail_fast=True)] | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    top_k: int | None = Field(None, ge=-1, le=UINT32_MAX)
    min_p: float | None = Field(None, ge=0, lt=1, allow_inf_nan=False)
    repetition_penalty: float | None = Field(None, gt=0, le=2, allow_inf_nan=False)
    min_tokens: int | None = Field(None, ge=0, le=UINT32_MAX)
    ignore_eos: bool | None = None

    @property
    def choices(self) -> int:
        """How many completions to make of a prompt."""
        return self.n or 1

    @field_validator("stop", mode="before")
    @classmethod
    def _stop_is_texts(cls, value: object) -> object:
        texts = [value] if isinstance(value, str) else value
        if texts is None:
            return None
        if isinstance(texts, list) and len(texts) > MAX_STOPS:
            raise PydanticCustomError("stop", f"must have at most {MAX_STOPS} strings")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise PydanticCustomError("stop_type", "must be a string or a list of strings")
        if not all(texts):
            raise PydanticCustomError("stop", "must not be or contain an empty string")
        return texts


def sampling_to_proto(
    fields: SamplingFields, max_tokens: int | None, *, logprobs: bool
) -> inference_pb2.SamplingParams:
    """Say the parameters in the service's terms. What the client left out stays unset."""
    return inference_pb2.SamplingParams(
        temperature=fields.temperature,
        top_p=fields.top_p,
        presence_penalty=fields.presence_penalty,
        frequency_penalty=fields.frequency_penalty,
        max_tokens=max_tokens,
        # OpenAI's seed has 64 bits and a sign, the engine's 32: the low ones are kept, so that
        # equal seeds stay equal and small ones are themselves.
        seed=None if fields.seed is None else fields.seed & UINT32_MAX,
        stop=fields.stop or (),
        # vLLM's clients say 0 or -1 for all tokens, which is the service's default.
        top_k=fields.top_k if fields.top_k and fields.top_k > 0 else None,
        min_p=fields.min_p,
        repetition_penalty=fields.repetition_penalty,
        min_tokens=fields.min_tokens,
        ignore_eos=fields.ignore_eos,
        n=fields.n,
        logprobs=True if logprobs else None,
    )
